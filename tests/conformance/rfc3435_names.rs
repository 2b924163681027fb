//! RFC 3435 §2.1.2 and Appendix E: what endpoints are called.

use tests::World;

/// The names that AUEP lists.
fn listed(w: &mut World, name: &str) -> Vec<String> {
    let audit = w.ask(&format!("AUEP {name}"), "");
    assert_eq!(audit.code, 200, "{}", audit.text);
    audit.text.lines().filter_map(|line| line.strip_prefix("Z: ")).map(str::to_owned).collect()
}

#[test]
fn the_gateways_own_names_follow_the_rules() {
    let mut w = World::builder(1).spans("[[span]]\ncount = 2\n[[span]]\ncarrier = \"t1\"\n").build();
    let names = listed(&mut w, "*@gw");
    assert_eq!(names.len(), 31 + 31 + 24);
    for name in names {
        let local = name.strip_suffix("@gw").expect("a name ends in the domain");
        let terms: Vec<&str> = local.split('/').collect();
        let [top, span, timeslot] = terms[..] else { panic!("{name}: Appendix E.2 has three terms here") };
        assert_eq!(top, "ds");
        let number = span.strip_prefix("e1-").or(span.strip_prefix("ds1-")).expect("the kind of the span");
        for number in [number, timeslot] {
            assert!(number.parse::<u32>().is_ok() && !number.starts_with('0'), "{name}");
        }
        let printable = |b: u8| b.is_ascii_graphic() && !b"*$@[]".contains(&b);
        assert!(local.bytes().all(printable), "{name}");
    }
}

#[test]
fn numbers_have_no_leading_zeros() {
    let mut w = World::builder(2).build();
    for name in ["ds/e1-01/1", "ds/e1-1/01", "ds/e1-1/001", "ds/ds1-01/1"] {
        assert_eq!(w.ask(&format!("AUEP {name}@gw"), "").code, 500, "{name}");
    }
}

#[test]
fn a_range_is_good_wherever_all_of_is() {
    let mut w = World::builder(3).build();
    let names = listed(&mut w, "ds/e1-[1-2]/[1,3-4]@gw");
    let wanted: Vec<_> = [1, 2]
        .iter()
        .flat_map(|span| [1, 3, 4].map(|timeslot| format!("ds/e1-{span}/{timeslot}@gw")))
        .collect();
    assert_eq!(names, wanted);
    w.call("ds/e1-1/1", "ds/e1-1/2");
    assert_eq!(w.ask("DLCX ds/e1-1/[1-12]@gw", "").code, 250);
    assert!(w.gateway().ledger().is_empty());
    assert_eq!(w.ask("EPCF ds/e1-1/[1-12]@gw", "B: e:mu\r\n").code, 200);
    assert_eq!(w.ask("CRCX ds/e1-1/[1-12]@gw", "C: 1\r\nM: recvonly\r\n").code, 503);
}

// RFC 3435 Appendix E.5 recommends to end at 128 characters or so.
#[test]
fn ranges_are_not_long() {
    let mut w = World::builder(4).build();
    let range = |n: usize| vec!["1-31"; n].join(",");
    assert_eq!(w.ask(&format!("AUEP ds/e1-1/[{}]@gw", range(20)), "").code, 200);
    let long = w.ask(&format!("AUEP ds/e1-1/[{}]@gw", range(400)), "");
    assert_eq!(long.code, 500, "{}", long.text);
}

#[test]
fn the_domain_that_was_asked_for_is_the_one_that_is_answered() {
    let mut w = World::builder(5).build();
    for domain in ["gw", "[10.0.0.1]", "Tollgate.example.NET"] {
        let made = w.ask(&format!("CRCX ds/e1-1/$@{domain}"), "C: 1\r\nM: recvonly\r\n");
        let specific = made.parameter("Z").expect("the endpoint that was chosen is named");
        assert!(specific.ends_with(&format!("@{domain}")), "{specific}");
    }
}
