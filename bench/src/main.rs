//! The `tollgate-bench` binary.

mod checker;
mod load;
mod pattern;

fn main() {}
