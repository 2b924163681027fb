//! The world that scenarios play in.
