//! The real binary on real sockets of the loopback interface, against programs that nobody here wrote.
//!
//! Each test has loopback addresses of its own (127.x.y.z), so that they can run side by side and
//! beside a gateway that is in use. The binary is built first; `tests/run` installs the programs.

mod command_line;
mod ffmpeg;
mod harness;
mod life;
mod osmocom;
mod tshark;
mod xdp;
