//! The Redis-compatible server of Holdfast.
