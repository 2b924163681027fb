//! Lists that stand in RFCs and that call agents send, and lists that are wrong.

use super::*;

fn requested(text: &str) -> RequestedEvents {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn events(text: &str) -> Events {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// RFC 3435 §3.2.2.16, Appendix F; RFC 3660; then call agents as recorded.
const REQUESTED: &[&str] = &[
    "L/hu(N), L/hf(S,N)",
    "L/hu(N), D/[0-9#T](D)",
    "L/hd(E(R(D/[0-9#T](D),L/hu(N)),S(L/dl),D([0-9].[#T])))",
    "L/hd(E(R(D/[0-9#T](D),L/hu(N)),S(L/dl)))",
    "X/foobar(N)(epar=2)",
    "l/hd(N)",
    "L/hd(A, E(S(L/dl),R(L/oc, L/hu, D/[0-9#*T](D))))",
    "L/hu,L/oc(N),D/[0-9](N)",
    "L/hd(N), L/hf(N), L/hu(N), B/enf, B/oef, B/qbo",
    "d/dd(N)(dg=#,to=2000)",
    "d/[0-9*#],d/dd",
    "t/co2,t/oc,t/of",
    "t/sit(N)(2)",
    "r/uc@*",
    "r/iu@364823(N)(5)",
    "r/rto@364823(N)(120,st=im)",
    "D/[0-9#*](N),G/ft(N),fxr/t38",
    "L/hu(N),L/hf(N),D/[0-9#*](N)",
    "D/[0-9*#A-D](N)",
    "*/all@*",
    "",
];

/// The same of S, T, O and ES.
const EVENTS: &[&str] = &[
    "L/hu,L/hd,L/hf,D/[0-9#*]",
    "D/8295555T",
    "D/8,D/2,D/9,D/5,D/5,L/hf,D/5,D/5,D/T",
    "L/hf, L/hf, L/hu",
    "L/adsi(\"123456 Francois Gerard\")",
    "A/ann(http://ann.example.net/no-such-number.au, 1234567)",
    "L/adsi(\"123456 Your friend\"), L/rg",
    "G/oc(G/rt@0A3F58)",
    "L/rg(to=6000)",
    "L/rg(to(6000))",
    "L/vmwi(+)",
    "l/ci(09/14/17/26, \"555 1212\", \"John Doe\")",
    "t/ct(in=co1,out=co2,+)",
    "sl/s(d/1,d/2,t/sit(3,to=1000),d/*)",
    "G/rt@$",
    "d/#",
    "a/of(a/ann,\"file not found\")",
    "L/rg,L/ci(11/22/07/02,1001,)",
    "L/vmwi(-)",
    "D/5",
    "",
];

#[test]
fn what_is_in_use_is_understood_and_what_is_written_reads_the_same() {
    for text in REQUESTED {
        let list = requested(text);
        assert_eq!(requested(&list.to_string()), list, "{text}");
    }
    for text in EVENTS {
        let list = events(text);
        assert_eq!(events(&list.to_string()), list, "{text}");
    }
}
