#!/bin/sh
# The root file system is the list that `cargo image` ships, and nothing of Buildroot's skeleton or
# of the C library: all programs are static.
set -eu
target=$1
find "$target" -mindepth 1 -delete
HOLDFAST_BIN_DIR=$BINARIES_DIR/holdfast "$HOST_DIR/bin/holdfast-image" rootfs "$target"
