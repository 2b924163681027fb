//! (to come)
use drivers::line::Law;

/// The far side of a dual-tone continuity test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Transponder {}

impl Transponder {
    /// Nothing heard.
    pub const fn new() -> Self {
        Self {}
    }

    /// Listens to `rx` and fills `tx`, both in `law`, with the answer: silence or the other tone.
    pub fn process(&mut self, law: Law, _rx: &[u8], tx: &mut [u8]) {
        tx.fill(law.silence());
    }
}
