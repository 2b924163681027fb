//! What is done to sounds: generating, recognising and replacing them.

pub mod call_tones;
pub mod concealment;
pub mod dtmf;
pub mod echo_canceller;
pub mod fax_preamble;
pub mod fourier;
pub mod octet_run;
pub mod player;
pub mod steady_tone;
pub mod tone;
pub mod transponder;
