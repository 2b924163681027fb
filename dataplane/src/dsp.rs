//! What is done to sounds: generating, recognising and replacing them.

pub mod concealment;
pub mod goertzel;
pub mod tone;
pub mod transponder;
