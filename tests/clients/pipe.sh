#!/bin/sh
# Feeds a thousand SETs to `redis-cli --pipe`; the arguments are the redis-cli command line.
i=0
while [ $i -lt 1000 ]; do
    printf '*3\r\n$3\r\nSET\r\n$8\r\nkey:%04d\r\n$5\r\nvalue\r\n' $i
    i=$((i + 1))
done | "$@" --pipe
