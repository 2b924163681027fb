//! The `tollgate-bench` binary.

fn main() {}
