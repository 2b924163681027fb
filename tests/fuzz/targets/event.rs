//! Lists of events and signals: whatever is read is written so that it is read again as the same.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use control::mgcp::event::{EventName, Events, QuarantineHandling, RequestedEvents};
use control::mgcp::event_error::EventError;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = str::from_utf8(octets) else { return };
    // They are values of header lines.
    if text.contains(char::is_control) {
        return;
    }
    reads_back::<RequestedEvents>(text);
    reads_back::<Events>(text);
    reads_back::<EventName>(text);
    reads_back::<QuarantineHandling>(text);
});

fn reads_back<T: FromStr<Err = EventError> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(list) => {
            let written = list.to_string();
            assert_eq!(written.parse().as_ref(), Ok(&list), "{text:?} was written as {written:?}");
        }
        Err(error) => assert!(error.offset <= text.len(), "{error:?} is within {text:?}"),
    }
}
