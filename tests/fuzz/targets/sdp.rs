//! Session descriptions and what is agreed by them.
//!
//! An input is one octet that chooses the line's side, a line of LocalConnectionOptions as MGCP has
//! them, and descriptions with NULs in between: the CRCX's, then those of MDCXs.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;

use control::mgcp::message::{LocalConnectionOptions, Message};
use control::mgcp::parse::parse_datagram;
use control::sdp::LocalDescription;
use control::sdp::negotiate::{Negotiated, Terms, negotiate};
use control::sdp::packetization::SUPPORTED_MS;
use control::sdp::parse::{Connection, Description};
use drivers::line::Law;
use fuzz::Decisions;
use libfuzzer_sys::fuzz_target;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const ADDRESSES: [&[IpAddr]; 4] = [&[V4], &[V6], &[V4, V6], &[V6, V4]];

fuzz_target!(|octets: &[u8]| {
    let mut decide = Decisions::new(octets);
    let side = decide.octet();
    let law = if side & 1 == 0 { Law::A } else { Law::Mu };
    let addresses = ADDRESSES[usize::from(side >> 1) % ADDRESSES.len()];
    let ptime_default = SUPPORTED_MS[usize::from(side >> 3) % SUPPORTED_MS.len()];
    let ptime_default_ms = NonZeroU8::new(ptime_default).expect("no period is zero");
    let telephone_events = side & 0x40 == 0;
    let command = [b"CRCX 1 a@b MGCP 1.0\nL: ", decide.until(b'\n')].concat();
    let options = options_of(&command);

    let mut current: Option<Negotiated> = None;
    let mut local: Option<LocalDescription> = None;
    while !decide.is_empty() {
        let text = decide.until(0);
        let description = Description::parse(text);
        if let Err(error) = &description {
            assert!((1..=text.len() + 1).contains(&error.line), "{error:?}");
        }
        let description = description.ok();
        let (options, remote) = (options.as_ref(), description.as_ref());
        // All that a command can have: both, one, none.
        for (options, remote) in [(options, remote), (None, remote), (options, None), (None, None)] {
            let terms = Terms {
                law,
                ptime_default_ms,
                telephone_events,
                addresses,
                options,
                remote,
                current: current.as_ref(),
            };
            let Ok(agreed) = negotiate(&terms) else { continue };
            check(&terms, &agreed);
            let rtp = SocketAddr::new(agreed.local, 20_000);
            let next = match &local {
                None => Some(LocalDescription::new(1, rtp, &agreed)),
                Some(before) => before.revised(rtp, &agreed),
            };
            if let Some(next) = next {
                reads_back(&next);
                local = Some(next);
            }
            current = Some(agreed);
        }
    }
});

fn options_of(command: &[u8]) -> Option<LocalConnectionOptions<'_>> {
    match parse_datagram(command).next()?.message.ok()? {
        Message::Command(command) => command.parameters.local_options,
        Message::Response(_) => None,
    }
}

fn check(terms: &Terms<'_>, agreed: &Negotiated) {
    if let Err(rule) = is_sound(terms, agreed) {
        panic!("{rule}: {agreed:?} of {terms:?}");
    }
}

/// Whether what was agreed holds together; if not, the rule that is broken.
fn is_sound(terms: &Terms<'_>, agreed: &Negotiated) -> Result<(), &'static str> {
    let rule = |holds, rule| if holds { Ok(()) } else { Err(rule) };
    rule(terms.addresses.contains(&agreed.local), "the address is ours")?;
    let family = |address: SocketAddr| address.is_ipv4() == agreed.local.is_ipv4();
    let remote = agreed.remote;
    rule(
        remote.is_none_or(|remote| family(remote.rtp) && family(remote.rtcp)),
        "there is one address family",
    )?;
    rule(SUPPORTED_MS.contains(&agreed.ptime_ms.get()), "the period is one of ours")?;
    rule(agreed.send.payload_type < 128, "a payload type has seven bits")?;
    rule(agreed.receive.iter().next().is_some(), "something is understood")?;
    let events = agreed.events.receive;
    rule(
        events.is_none_or(|events| agreed.receive.codec(events).is_none() && events < 128),
        "events have a number of their own",
    )?;
    for (place, format) in agreed.receive.iter().enumerate() {
        rule(format.payload_type < 128, "a payload type has seven bits")?;
        let mut others = agreed.receive.iter().skip(place + 1);
        rule(others.all(|other| other.payload_type != format.payload_type), "a number has one codec")?;
        // RFC 3264 §8.3.2: a number keeps its meaning as long as the session lives.
        let before = terms.current.and_then(|current| current.receive.codec(format.payload_type));
        rule(before.is_none_or(|before| before == format.codec), "a number keeps its meaning")?;
    }
    Ok(())
}

fn reads_back(local: &LocalDescription) {
    let mut octets = Vec::new();
    local.emit(&mut octets);
    let read = Description::parse(&octets).expect("what we describe can be read");
    let [media] = &read.media[..] else { panic!("one m= line: {read:?}") };
    assert_eq!(read.connection_of(media), Some(Connection::Address(local.rtp.ip())));
    assert_eq!(media.port, Some(local.rtp.port()));
    assert_eq!(media.ptime_ms, Some(local.ptime_ms.get().into()));
    let numbers = media.formats.iter().map(|format| format.number);
    assert!(numbers.eq(local.formats.iter().map(|format| format.payload_type).chain(local.events)));
}
