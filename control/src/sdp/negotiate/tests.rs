//! What is agreed on, and what is refused.

use proptest::prelude::*;

use crate::mgcp::code::ReturnCode;
use crate::mgcp::message::Range;
use crate::sdp::packetization::SUPPORTED_MS;
use dataplane::link::Digit;

use super::*;

const A: Codec = Codec::G711(Law::A);
const MU: Codec = Codec::G711(Law::Mu);
const CLEAR: Codec = Codec::Clearmode;

type Options = LocalConnectionOptions<'static>;

fn codecs(names: &[&'static str]) -> Options {
    Options { codecs: names.to_vec(), ..Options::default() }
}

fn period(from: u32, to: u32) -> Options {
    Options { packetization_ms: Some(Range { from, to }), ..Options::default() }
}

fn bandwidth(from: u32, to: u32) -> Options {
    Options { bandwidth_kbps: Some(Range { from, to }), ..Options::default() }
}

fn ms(ms: u8) -> NonZeroU8 {
    NonZeroU8::new(ms).expect("not zero")
}

/// An A-law timeslot of a gateway with both address families.
fn agree(
    options: Option<&Options>,
    remote: Option<&str>,
    current: Option<&Negotiated>,
) -> Result<Negotiated, Refusal> {
    let addresses = ["192.0.2.100", "2001:db8::100"].map(|a| a.parse().expect("an address"));
    let description = remote.map(|text| Description::parse(text.as_bytes())).transpose()?;
    let remote = description.as_ref();
    let ptime_default_ms = ms(20);
    let telephone_events = true;
    let addresses = &addresses;
    let law = Law::A;
    negotiate(&Terms { law, ptime_default_ms, telephone_events, addresses, options, remote, current })
}

/// A remote description with `m=audio 4000 RTP/AVP` and then `formats`, which may have more lines.
fn offer(formats: &str) -> String {
    format!("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP {formats}\n")
}

fn list(formats: Formats) -> Vec<(u8, Codec)> {
    formats.iter().map(|format| (format.payload_type, format.codec)).collect()
}

fn peer(rtp: &str, rtcp: &str) -> Option<Remote> {
    Some(Remote { rtp: rtp.parse().expect("an address"), rtcp: rtcp.parse().expect("an address") })
}

#[test]
fn alone_the_lines_own_law_comes_first() {
    let agreed = agree(None, None, None).expect("nothing is asked");
    assert_eq!(list(agreed.receive), [(8, A), (0, MU), (96, CLEAR)]);
    assert_eq!((agreed.send.codec, agreed.ptime_ms, agreed.remote), (A, ms(20), None));
    assert_eq!(agreed.local, "192.0.2.100".parse::<IpAddr>().expect("an address"));
    assert_eq!(internal(Law::Mu), [MU, A, CLEAR]);
}

#[test]
fn options_choose_and_order_codecs() {
    for (names, expected) in [
        (&["PCMU", "PCMA"][..], &[(0, MU), (8, A)][..]),
        (&["pcmu", "PCMU"], &[(0, MU)]),
        (&["G729", "image/t38", "PCMA"], &[(8, A)]),
        (&["clearmode"], &[(96, CLEAR)]),
    ] {
        assert_eq!(list(agree(Some(&codecs(names)), None, None).expect("one is ours").receive), expected);
    }
}

/// §2.6 step 2.
#[test]
fn options_without_a_codec_of_ours_are_refused() {
    let refusal = agree(Some(&codecs(&["G729", "AMR"])), None, None).expect_err("none is ours");
    assert_eq!((refusal, refusal.code()), (Refusal::NoCommonCodec, ReturnCode(534)));
}

/// §2.6 step 4.
#[test]
fn remote_without_an_approved_codec_is_refused() {
    for (names, formats) in [
        (&["PCMA"][..], "0"),
        (&["CLEARMODE"], "8 0"),
        (&[], "18 101"),
        (&[], "8\na=rtpmap:8 L16/8000"),
        (&[], "97\na=rtpmap:97 PCMA/16000"),
        (&[], "97\na=rtpmap:97 PCMA/8000/2"),
    ] {
        let refusal = agree(Some(&codecs(names)), Some(&offer(formats)), None).expect_err("no codec");
        assert_eq!(refusal, Refusal::NoCommonCodec, "{names:?} {formats:?}");
    }
}

/// RFC 3264 §6.1, and the last paragraph of RFC 3435 §2.6.
#[test]
fn the_remote_orders_codecs_unless_options_do() {
    let remote = offer("0 8 101");
    let agreed = agree(None, Some(&remote), None).expect("both are ours");
    assert_eq!((list(agreed.receive), agreed.send.codec), (vec![(0, MU), (8, A)], MU));
    let agreed = agree(Some(&codecs(&["PCMA", "PCMU"])), Some(&remote), None).expect("both are ours");
    assert_eq!((list(agreed.receive), agreed.send.codec), (vec![(8, A), (0, MU)], A));
    let agreed = agree(Some(&period(30, 30)), Some(&remote), None).expect("both are ours");
    assert_eq!((list(agreed.receive), agreed.ptime_ms), (vec![(0, MU), (8, A)], ms(30)));
}

/// RFC 3264 §6.1, RFC 4040 §5.
#[test]
fn the_offers_payload_types_are_kept() {
    let remote = offer("121 97\na=rtpmap:97 pcma/8000/1\na=rtpmap:121 Clearmode/8000");
    let agreed = agree(None, Some(&remote), None).expect("both are ours");
    assert_eq!(list(agreed.receive), [(121, CLEAR), (97, A)]);
    assert_eq!((agreed.send.payload_type, agreed.send.codec), (121, CLEAR));
}

/// RFC 3264 §6.1: send with the peer's numbers; §8.3.2: a number we gave keeps its meaning.
#[test]
fn our_own_payload_types_outlive_the_answer() {
    let first = agree(None, None, None).expect("nothing is asked");
    let remote = offer("121 96\na=rtpmap:121 CLEARMODE/8000\na=rtpmap:96 PCMA/8000");
    let second = agree(None, Some(&remote), Some(&first)).expect("both are ours");
    assert_eq!(list(second.receive), [(96, CLEAR), (8, A)]);
    assert_eq!(list(second.understood), [(121, CLEAR), (96, A)]);
    assert_eq!((second.send.payload_type, second.send.codec), (121, CLEAR));
}

#[test]
fn a_static_number_that_means_something_else_is_not_given_twice() {
    let remote = offer("0 8\na=rtpmap:0 CLEARMODE/8000\na=rtpmap:8 PCMU/8000");
    let first = agree(None, Some(&remote), None).expect("both are ours");
    assert_eq!(list(first.receive), [(0, CLEAR), (8, MU)]);
    let all = codecs(&["PCMA", "PCMU", "CLEARMODE"]);
    let second = agree(Some(&all), None, Some(&first)).expect("all are ours");
    assert_eq!(list(second.receive), [(96, A), (8, MU), (0, CLEAR)]);
    assert_eq!((second.send.codec, second.send.payload_type), (MU, 8), "which the peer understands");
}

#[test]
fn rtcp_goes_to_the_next_port_or_where_it_is_said() {
    for (lines, expected) in [
        ("8", peer("198.51.100.7:4000", "198.51.100.7:4001")),
        ("8\na=rtcp:53020", peer("198.51.100.7:4000", "198.51.100.7:53020")),
        ("8\na=rtcp:53020 IN IP4 126.16.64.4", peer("198.51.100.7:4000", "126.16.64.4:53020")),
        ("8\nc=IN IP4 203.0.113.9", peer("203.0.113.9:4000", "203.0.113.9:4001")),
    ] {
        assert_eq!(agree(None, Some(&offer(lines)), None).expect("it is fine").remote, expected, "{lines}");
    }
}

#[test]
fn our_address_is_of_the_remotes_family() {
    let v6 = "v=0\nc=IN IP6 2001:db8::7\nm=audio 4000 RTP/AVP 8\n";
    let agreed = agree(None, Some(v6), None).expect("there is an address of it");
    assert!(agreed.local.is_ipv6());
    let description = Description::parse(v6.as_bytes()).expect("it conforms");
    let terms = Terms {
        law: Law::A,
        ptime_default_ms: ms(20),
        telephone_events: true,
        addresses: &["192.0.2.100".parse().expect("an address")],
        options: None,
        remote: Some(&description),
        current: None,
    };
    assert_eq!(negotiate(&terms).map_err(Refusal::code), Err(ReturnCode(505)));
}

/// RFC 3264 §8.4 and §5.1.
#[test]
fn a_peer_on_hold_is_sent_nothing() {
    let first = agree(None, Some(&offer("8")), None).expect("it is fine");
    for (text, formats) in [
        ("v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8\n", &[(8, A)][..]),
        ("v=0\nc=IN IP6 ::\nm=audio 4000 RTP/AVP 8\n", &[(8, A)]),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 0 RTP/AVP 8 0\n", &[(8, A), (0, MU)]),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 0 RTP/AVP 19\n", &[(8, A), (0, MU), (96, CLEAR)]),
    ] {
        let agreed = agree(None, Some(text), Some(&first)).expect("it is no error");
        assert_eq!((agreed.remote, list(agreed.receive)), (None, formats.to_vec()), "{text}");
        assert_eq!(agreed.local, first.local);
    }
}

#[test]
fn the_first_audio_that_is_wanted_is_taken() {
    let text = "v=0\nc=IN IP4 198.51.100.7\nm=image 6000 udptl t38\nm=audio 5000 RTP/SAVP 8\n\
                m=audio 0 RTP/AVP 8\nm=Audio 4000 rtp/avp 0\nm=audio 4002 RTP/AVP 8\n";
    let agreed = agree(None, Some(text), None).expect("one will do");
    assert_eq!(
        (agreed.remote, list(agreed.receive)),
        (peer("198.51.100.7:4000", "198.51.100.7:4001"), vec![(0, MU)])
    );
}

#[test]
fn what_we_do_not_do_is_505_and_what_is_wrong_is_509() {
    for (text, code) in [
        ("v=0\nc=IN IP4 198.51.100.7\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=image 4000 udptl t38\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/SAVP 8\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio $ RTP/AVP 8\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 65535 RTP/AVP 8\n", 505),
        ("v=0\nc=IN IP4 224.2.1.1/127\nm=audio 4000 RTP/AVP 8\n", 505),
        ("v=0\nc=IN IP4 224.2.1.1\nm=audio 4000 RTP/AVP 8\n", 505),
        ("v=0\nc=IN IP4 255.255.255.255\nm=audio 4000 RTP/AVP 8\n", 505),
        ("v=0\nc=IN IP4 host.example.net\nm=audio 4000 RTP/AVP 8\n", 505),
        ("v=0\nc=LOCAL EPN ds/e1-1/1\nm=audio 0 LOCAL 0\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 8\na=rtcp:4001 IN IP6 2001:db8::1\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 8\na=rtcp:4001 IN IP4 0.0.0.0\n", 505),
        ("v=0\nc=IN IP4 198.51.100.7\nm=audio 4000 RTP/AVP 8\na=maxptime:4\n", 505),
        ("v=1\n", 505),
        ("v=0\nm=audio 4000 RTP/AVP 8\n", 509),
        ("v=0\nc=IN IP4 198.51.100\nm=audio 4000 RTP/AVP 8\n", 509),
        ("hello\n", 509),
    ] {
        let refusal = agree(None, Some(text), None).expect_err(text);
        assert_eq!(refusal.code(), ReturnCode(code), "{refusal}: {text}");
    }
}

#[test]
fn packetization_is_asked_wished_kept_or_usual_in_this_order() {
    let in_use = Negotiated { ptime_ms: ms(40), ..agree(None, None, None).expect("nothing is asked") };
    let remote = Some("8\na=ptime:30");
    for (asked, remote, current, expected) in [
        (None, None, None, 20),
        (Some((10, 10)), None, None, 10),
        (Some((5, 60)), None, None, 20),
        (Some((21, 45)), None, None, 30),
        (Some((5, 15)), None, None, 10),
        (Some((16, 18)), None, None, 20),
        (Some((15, 15)), remote, None, 20),
        (Some((61, 200)), None, None, 60),
        (Some((0, 4)), None, None, 5),
        (Some((10, 10)), remote, None, 10),
        (Some((5, 60)), remote, None, 30),
        (None, remote, None, 30),
        (None, Some("8\na=ptime:25"), None, 20),
        (None, Some("8\na=ptime:1000"), None, 60),
        (None, Some("8\na=maxptime:15"), None, 10),
        (None, Some("8\na=ptime:60\na=maxptime:30"), None, 30),
        (None, remote, Some(&in_use), 30),
        (None, Some("8"), Some(&in_use), 40),
        (Some((10, 60)), None, Some(&in_use), 40),
        (Some((10, 30)), None, Some(&in_use), 30),
    ] {
        let options = asked.map(|(from, to)| period(from, to));
        let remote_text = remote.map(offer);
        let agreed = agree(options.as_ref(), remote_text.as_deref(), current).expect("it can be had");
        assert_eq!(agreed.ptime_ms, ms(expected), "{asked:?} {remote:?}");
    }
}

#[test]
fn packetization_that_cannot_be_had_is_refused() {
    for (asked, remote, refusal, code) in [
        (period(20, 10), "8", Refusal::Inconsistent, 524),
        (bandwidth(96, 80), "8", Refusal::Inconsistent, 524),
        (period(30, 60), "8\na=maxptime:20", Refusal::Conflict, 506),
    ] {
        let refused = agree(Some(&asked), Some(&offer(remote)), None).expect_err("it cannot be had");
        assert_eq!((refused, refused.code()), (refusal, ReturnCode(code)), "{asked:?} {remote}");
    }
}

/// §2.3.5: headers count; G.711 needs 80 kbit/s over IPv4 with 20 ms packets, 88 over IPv6.
#[test]
fn bandwidth_makes_packets_longer_or_leaves_no_codec() {
    let v6 = "v=0\nc=IN IP6 2001:db8::7\nm=audio 4000 RTP/AVP 8\n";
    for (from, to, remote, expected) in [
        (80, 80, None, Some(20)),
        (79, 79, None, Some(30)),
        (32, 70, None, Some(60)),
        (100, 200, None, Some(20)),
        (88, 88, Some(v6), Some(20)),
        (80, 80, Some(v6), Some(30)),
        (64, 64, None, Some(20)),
        (0, 69, None, Some(20)),
        (0, 63, None, None),
        (8, 8, None, None),
    ] {
        let agreed = agree(Some(&bandwidth(from, to)), remote, None);
        assert_eq!(agreed.map(|agreed| agreed.ptime_ms), expected.map(ms).ok_or(Refusal::NoCommonCodec));
    }
    let unworkable = Options { packetization_ms: Some(Range { from: 10, to: 20 }), ..bandwidth(32, 32) };
    assert_eq!(agree(Some(&unworkable), None, None), Err(Refusal::NoCommonCodec));
    let named = Options { codecs: vec!["PCMA"], ..unworkable };
    assert_eq!(agree(Some(&named), None, None).map(|agreed| agreed.ptime_ms), Ok(ms(20)));
}

/// §2.3.5: what a codec needs beyond a bandwidth is no error, also where a peer wants packets short.
#[test]
fn a_bandwidth_never_makes_packets_longer_than_a_peer_takes() {
    for options in [bandwidth(70, 70), Options { codecs: vec!["PCMA"], ..bandwidth(10, 10) }] {
        let agreed = agree(Some(&options), Some(&offer("8\na=maxptime:20")), None);
        assert_eq!(agreed.map(|agreed| agreed.ptime_ms), Ok(ms(20)), "{options:?}");
    }
}

/// §2.3.6: what an MDCX does not mention stays; only its own options bear on its description.
#[test]
fn a_modification_changes_what_it_names() {
    let first = agree(Some(&codecs(&["PCMA"])), Some(&offer("8 0")), None).expect("it is fine");
    assert_eq!(list(first.receive), [(8, A)]);
    let slower = agree(Some(&period(30, 30)), None, Some(&first)).expect("it is fine");
    assert_eq!(slower, Negotiated { ptime_ms: ms(30), ..first });
    let other = agree(Some(&codecs(&["PCMU"])), None, Some(&first)).expect("it is fine");
    assert_eq!((list(other.receive), other.remote), (vec![(0, MU)], first.remote));
    let anew =
        agree(None, Some(&offer("0\na=sendonly")), Some(&first)).expect("all we have is allowed again");
    assert_eq!((list(anew.receive), anew.send.codec), (vec![(0, MU)], MU));
    let unheard = agree(Some(&codecs(&["CLEARMODE"])), None, Some(&first)).expect("the peer is told next");
    assert_eq!((unheard.send.payload_type, unheard.send.codec), (96, CLEAR));
    assert_eq!(agree(None, None, Some(&first)), Ok(first));
}

/// What call agents send, as captured from them.
#[test]
fn call_agents_descriptions_are_taken() {
    let yate = "v=0\r\no=yate 1795329134 1795329134 IN IP4 127.0.0.1\r\ns=PSTN Circuit\r\nc=IN IP4 127.0.0.1\r\n\
                t=0 0\r\nm=audio 30934 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                a=rtpmap:101 telephone-event/8000\r\n";
    let both = codecs(&["PCMU", "PCMA"]);
    let first = agree(Some(&both), None, None).expect("M: inactive, and no description yet");
    for current in [None, Some(&first)] {
        let agreed = agree(None, Some(yate), current).expect("Yate's");
        assert_eq!(list(agreed.receive), [(0, MU), (8, A)]);
        assert_eq!(events(&agreed), in_use(101), "whatever its first command named");
        assert_eq!(agreed.remote, peer("127.0.0.1:30934", "127.0.0.1:30935"));
    }

    // L: e:on, s:off, p:20, a:PCMA, a:PCMU
    let asterisk = "v=0\r\no=root 1162083127 1162083127 IN IP4 127.0.0.1\r\ns=Asterisk\r\nc=IN IP4 127.0.0.1\r\n\
                    t=0 0\r\nm=audio 15682 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
                    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\n\
                    a=sendrecv\r\n";
    let options = Options {
        echo_cancellation: Some(true),
        silence_suppression: Some(false),
        ..Options { codecs: vec!["PCMA", "PCMU"], ..period(20, 20) }
    };
    let agreed = agree(Some(&options), Some(asterisk), None).expect("Asterisk's");
    assert_eq!((list(agreed.receive), agreed.ptime_ms), (vec![(8, A), (0, MU)], ms(20)));
    assert_eq!(agreed.events.receive, None, "it names its codecs");

    // L: p:20, a:PCMA, nt:IN; the answer must have c= of the same family and a port.
    let osmocom = "v=0\r\no=- 1234 23 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 16002 RTP/AVP 8 112\r\na=rtpmap:112 AMR/8000\r\na=fmtp:112 octet-align=1\r\na=ptime:20\r\n";
    let options = Options { network_types: vec!["IN"], ..Options { codecs: vec!["PCMA"], ..period(20, 20) } };
    let agreed = agree(Some(&options), Some(osmocom), None).expect("Osmocom's");
    assert_eq!((list(agreed.receive), agreed.local.is_ipv4()), (vec![(8, A)], true));
    let amr = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 16002 RTP/AVP 112\r\na=rtpmap:112 AMR/8000\r\n";
    assert_eq!(agree(None, Some(amr), None), Err(Refusal::NoCommonCodec), "a DS0 is no relay");

    let lf_only = yate.replace('\r', "");
    assert_eq!(agree(None, Some(&lf_only), None), agree(None, Some(yate), None));
}

/// Our payload type for telephone-events, and the peer's with the digits that it takes.
fn events(agreed: &Negotiated) -> (Option<u8>, Option<(u8, String)>) {
    let send = agreed.events.send(agreed.send).map(|events| {
        let digits = Digit::ALL.iter().filter(|digit| events.digits.has(**digit));
        (events.payload_type, digits.map(ToString::to_string).collect())
    });
    (agreed.events.receive, send)
}

const DIGITS: &str = "0123456789*#ABCD";

fn in_use(number: u8) -> (Option<u8>, Option<(u8, String)>) {
    (Some(number), Some((number, DIGITS.to_owned())))
}

/// RFC 4733 §2.4.1, §2.5.1.1; RFC 3264 §6.1; RFC 3435 §3.2.2.10.
#[test]
fn telephone_events_are_used_where_both_sides_name_them() {
    let none = (None, None);
    for (names, formats, expected) in [
        (&[][..], None, (Some(101), None)),
        (&["PCMA", "telephone-event"], None, (Some(101), None)),
        (&["PCMA"], None, none.clone()),
        (&["CLEARMODE", "telephone-event"], None, none.clone()),
        (&[], Some("8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15"), in_use(101)),
        (&[], Some("8 96\na=rtpmap:96 Telephone-Event/8000/1"), in_use(96)),
        (&["PCMA", "TELEPHONE-EVENT"], Some("8 96\na=rtpmap:96 telephone-event/8000"), in_use(96)),
        (&["PCMA"], Some("8 96\na=rtpmap:96 telephone-event/8000"), (None, None)),
        (&[], Some("8"), none.clone()),
        (&[], Some("8 96\na=rtpmap:96 telephone-event/16000"), none.clone()),
        (&[], Some("8 96\na=rtpmap:96 telephone-event/8000\na=fmtp:96 32-36"), none.clone()),
        (
            &[],
            Some("8 96\na=rtpmap:96 telephone-event/8000\na=fmtp:96 0-9,16"),
            (Some(96), Some((96, "0123456789".to_owned()))),
        ),
        (&[], Some("97 96\na=rtpmap:97 CLEARMODE/8000\na=rtpmap:96 telephone-event/8000"), none.clone()),
        (
            &[],
            Some("8 97 96\na=rtpmap:97 telephone-event/16000\na=rtpmap:96 telephone-event/8000"),
            in_use(96),
        ),
    ] {
        let options = (!names.is_empty()).then(|| codecs(names));
        let remote = formats.map(offer);
        let agreed = agree(options.as_ref(), remote.as_deref(), None).expect("audio can be had");
        let told = events(&agreed);
        assert_eq!(told.0, expected.0, "{names:?} {formats:?}");
        assert!(told.1 == expected.1, "{names:?} {formats:?}: {told:?}");
    }
    let only = codecs(&["telephone-event"]);
    assert_eq!(agree(Some(&only), None, None), Err(Refusal::NoCommonCodec), "it is no codec by itself");
}

/// RFC 3264 §5.1, §8.3.2: each side numbers for itself, and no number changes its meaning.
#[test]
fn telephone_events_have_two_numbers_and_keep_ours() {
    let first = agree(None, None, None).expect("nothing is asked");
    let remote = offer("8 101 97\na=rtpmap:101 CLEARMODE/8000\na=rtpmap:97 telephone-event/8000");
    let second = agree(None, Some(&remote), Some(&first)).expect("all can be had");
    assert_eq!(events(&second), (Some(101), Some((97, DIGITS.to_owned()))));
    assert_eq!(second.receive.codec(101), None);
    assert_eq!(second.receive.codec(96), Some(CLEAR));
    let both_at_101 = offer("8 101 96\na=rtpmap:101 CLEARMODE/8000\na=rtpmap:96 telephone-event/8000");
    let alone = agree(None, Some(&both_at_101), None).expect("all can be had");
    assert_eq!((events(&alone), alone.receive.codec(101)), (in_use(96), Some(CLEAR)));
}

/// RFC 3435 §2.3.6.
#[test]
fn a_modification_takes_telephone_events_up_and_puts_them_away() {
    let with = offer("8 101\na=rtpmap:101 telephone-event/8000");
    let (none, held) = ((None, None), with.replace("audio 4000", "audio 0"));
    let first = agree(None, Some(&with), None).expect("both have them");
    for (options, remote, expected) in [
        (None, None, in_use(101)),
        (Some(period(30, 30)), None, in_use(101)),
        (Some(codecs(&["PCMA"])), None, none.clone()),
        (Some(codecs(&["CLEARMODE", "telephone-event"])), None, none.clone()),
        (Some(codecs(&["PCMU", "telephone-event"])), None, in_use(101)),
        (None, Some(offer("8")), none.clone()),
        (None, Some(held), in_use(101)),
        (
            None,
            Some(
                "v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n"
                    .into(),
            ),
            in_use(101),
        ),
    ] {
        let agreed = agree(options.as_ref(), remote.as_deref(), Some(&first)).expect("audio stays");
        assert_eq!(events(&agreed), expected, "{options:?} {remote:?}");
    }
    let without = agree(None, Some(&offer("8")), Some(&first)).expect("audio stays");
    let again = agree(None, Some(&with), Some(&without)).expect("audio stays");
    assert_eq!(events(&again), in_use(101));
    assert_eq!(events(&agree(None, None, Some(&without)).expect("audio stays")), none);
}

/// Some lines after `m=audio port RTP/AVP`, often ones that mean something to us.
fn some_offer() -> impl Strategy<Value = String> {
    let number = prop_oneof![Just(0_u8), Just(8), Just(13), 95_u8..=127];
    let name = prop_oneof!["PCM[AU]", "CLEARMODE", "telephone-event", "[A-Z0-9]{1,6}"];
    let address =
        prop_oneof!["IP4 192[.]0[.]2[.][1-9]", Just("IP4 0.0.0.0".into()), Just("IP6 2001:db8::7".into())];
    let attribute = prop_oneof![
        (number.clone(), name).prop_map(|(number, name)| format!("rtpmap:{number} {name}/8000")),
        (0_u8..200).prop_map(|ms| format!("ptime:{ms}")),
        (0_u8..80).prop_map(|ms| format!("maxptime:{ms}")),
    ];
    let formats = proptest::collection::vec(number, 0..6);
    let attributes = proptest::collection::vec(attribute, 0..6);
    (prop_oneof![Just(0_u16), any::<u16>()], address, formats, attributes).prop_map(
        |(port, address, formats, attributes)| {
            let mut text = format!("v=0\nc=IN {address}\nm=audio {port} RTP/AVP");
            text.extend(formats.iter().map(|format| format!(" {format}")));
            text.extend(attributes.iter().map(|attribute| format!("\na={attribute}")));
            text
        },
    )
}

fn some_options() -> impl Strategy<Value = Options> {
    let name = proptest::sample::select(vec!["PCMA", "pcmu", "CLEARMODE", "G729", "telephone-event"]);
    let range = || proptest::option::of((0_u32..130, 0_u32..130).prop_map(|(from, to)| Range { from, to }));
    (proptest::collection::vec(name, 0..4), range(), range()).prop_map(
        |(codecs, packetization_ms, bandwidth_kbps)| Options {
            codecs,
            packetization_ms,
            bandwidth_kbps,
            ..Options::default()
        },
    )
}

proptest! {
    /// Whatever a call agent asks, command after command: what is agreed can be ordered.
    #[test]
    fn what_is_agreed_makes_sense(
        commands in proptest::collection::vec(
            (proptest::option::of(some_options()), proptest::option::of(some_offer())), 1..6),
    ) {
        let mut current: Option<Negotiated> = None;
        for (options, remote) in &commands {
            let Ok(agreed) = agree(options.as_ref(), remote.as_deref(), current.as_ref()) else { continue };
            let formats = list(agreed.receive);
            prop_assert!(agreed.events.receive.is_none_or(|number| agreed.receive.codec(number).is_none()));
            let mut numbers: Vec<u8> = formats.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let codecs = distinct(formats.iter().map(|(_, codec)| *codec));
            prop_assert!(!formats.is_empty() && numbers.len() == formats.len() && codecs.len() == formats.len());
            prop_assert!(codecs.contains(&agreed.send.codec));
            prop_assert!(SUPPORTED_MS.contains(&agreed.ptime_ms.get()));
            prop_assert!(agreed.remote.is_none_or(|remote| remote.rtp.is_ipv4() == agreed.local.is_ipv4()));
            if let Some(before) = current {
                for (number, codec) in formats {
                    prop_assert!(before.receive.codec(number).is_none_or(|was| was == codec));
                    prop_assert!(before.events.receive != Some(number));
                }
            }
            current = Some(agreed);
        }
    }
}

/// Nothing that changes the media is passed over.
#[test]
fn what_we_do_not_do_is_refused_and_what_an_answer_declines_is_not() {
    for (lines, expected) in [
        ("k=clear:secret\nm=audio 4000 RTP/AVP 8", Err(505)),
        ("m=audio 4000 RTP/AVP 8\nk=prompt", Err(505)),
        ("m=audio 4000 RTP/AVP 8\nm=video 6000 RTP/AVP 31\nk=prompt", Ok("198.51.100.7:4001")),
        ("m=audio 4000 RTP/AVP 8\na=rtcp-mux-only", Err(505)),
        ("m=audio 4000 RTP/AVP 8\na=rtcp-mux", Ok("198.51.100.7:4001")),
        (
            "m=audio 4000 RTP/AVP 8\na=ice-ufrag:x\na=candidate:1 1 UDP 1 10.0.1.1 8998 typ host",
            Ok("198.51.100.7:4001"),
        ),
        ("m=audio 4000 RTP/AVP 96 8\na=rtpmap:96 red/8000\na=fmtp:96 8/8", Ok("198.51.100.7:4001")),
        ("m=audio 4000 RTP/AVP 96\na=rtpmap:96 red/8000\na=fmtp:96 8/8", Err(534)),
        ("m=audio 4000 RTP/AVP 13", Err(534)),
        ("m=audio 4000 RTP/AVP 8 13", Ok("198.51.100.7:4001")),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 8", Err(505)),
        ("m=audio 4000 RTP/AVPF 8", Err(505)),
        ("m=image 4000 udptl t38", Err(505)),
    ] {
        let text = format!("v=0\nc=IN IP4 198.51.100.7\n{lines}\n");
        let agreed = agree(None, Some(&text), None).map_err(Refusal::code);
        let rtcp = agreed.map(|agreed| agreed.remote.expect("an address").rtcp.to_string());
        assert_eq!(rtcp, expected.map(str::to_owned).map_err(ReturnCode), "{lines}");
    }
}

#[test]
fn an_ipv4_address_in_ipv6s_clothes_is_reached_over_ipv4() {
    let text = "v=0\nc=IN IP6 ::ffff:198.51.100.7\nm=audio 4000 RTP/AVP 8\n";
    let agreed = agree(None, Some(text), None).expect("it is an address");
    assert_eq!(agreed.remote, peer("198.51.100.7:4000", "198.51.100.7:4001"));
    assert!(agreed.local.is_ipv4());
}
