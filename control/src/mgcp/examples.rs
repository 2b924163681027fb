//! Messages as they are in RFC 3435 (§3.3, Appendices F and G) and as real call agents send them.

/// As octets on the wire.
pub(crate) fn lines(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

pub(crate) const YATE_CRCX: &str = "CRCX 1 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0
C: 28983372547f000001000000
X: 27095e1201000000
R: D/[0-9#*](N),G/ft(N),fxr/t38
B: e:A
M: sendrecv

v=0
o=yate 1795329134 1795329134 IN IP4 127.0.0.1
s=PSTN Circuit
c=IN IP4 127.0.0.1
t=0 0
m=audio 30934 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
";

pub(crate) const ASTERISK_CRCX: &str = "CRCX 6 ds/ds1-1/1@[127.0.0.1] MGCP 1.0
C: 0b5643b508195c68
L: e:on, s:off, p:20, a:PCMA, a:PCMU
M: recvonly
X: 08195c68

v=0
o=root 3 3 IN IP4 127.0.0.1
s=session
c=IN IP4 127.0.0.1
t=0 0
m=audio 14514 RTP/AVP 8 0
";

pub(crate) const OSMOCOM_CRCX: &str = "CRCX 2 rtpbridge/*@mgw MGCP 1.0
C: 1234
L: p:20, a:PCMA, nt:IN
M: recvonly
X-Osmo-IGN: C
";

pub(crate) const ALL: &[&str] = &[
    YATE_CRCX,
    "MDCX 2 ds/ds1-2/1@127.0.0.1:2427 MGCP 1.0
C: 2808ec9a4d7f000001000000
I: 1EB2943E
M: sendrecv

v=0
",
    "DLCX 4 ds/ds1-2/1@127.0.0.1:2427 MGCP 1.0
I: F0E4F918
C: 28486057267f000001000000
X: facf0c4601000000
R: 
",
    "DLCX 1 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0
",
    "RQNT 9 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0
X: facf0c4601000000
S: G/rt
",
    "CRCX 10 ds/ds1-1/1@127.0.0.1:2427 MGCP 1.0
C: 28486057267f000001000000
L: a:PCMU;PCMA
M: inactive
",
    "AUEP 2 ds/ds1-1/1@[127.0.0.1] MGCP 1.0
F: A
",
    "AUEP 3 *@[127.0.0.1] MGCP 1.0
",
    ASTERISK_CRCX,
    "RQNT 7 ds/ds1-1/1@[127.0.0.1] MGCP 1.0
X: 1b9fc643
R: L/hd(N)
S: L/rg,L/ci(11/22/07/02,1001,)
",
    "MDCX 8 ds/ds1-1/1@[127.0.0.1] MGCP 1.0
C: 0b5643b508195c68
M: sendrecv
X: 08195c68
I: 43CD4CD7
R: L/hu(N),L/hf(N),D/[0-9#*](N)
",
    "RQNT 11 ds/ds1-1/1@[127.0.0.1] MGCP 1.0
X: 1b9fc643
S: L/vmwi(-)
",
    "000 6 OK
",
    "DLCX 1 rtpbridge/*@mgw MGCP 1.0
",
    OSMOCOM_CRCX,
    "MDCX 4 rtpbridge/1@mgw MGCP 1.0
C: 1234
I: 14B7FF97
M: sendrecv

v=0
",
    "CRCX 1 ds/e1-1/s-2/su64-0@mgw MGCP 1.0
C: 1
",
    "AUEP 5 null@mgw MGCP 1.0
",
    "CRCX 147483653 ds/e1-1/1@127.0.0.1:2427 MGCP 1.0
C:1
M:recvonly
R:D/[0-9*#A-D](N)
",
    "AUEP 147483654 ds/e1-1/1@127.0.0.1:2427 MGCP 1.0
F: A,I,R,B
",
    "AUCX 147483655 ds/e1-1/1@127.0.0.1:2427 MGCP 1.0
I:32F345E2
F:C,M,LC,RC,P
",
    "auep 17 S3/DS1-1/1@name MGCP 1.0
F: 
",
    "AUEP 18 S3/DS1-1/1@name MGCP 1.0
F: I,RM
",
    "CRCX 19 S3/DS1-1/1@name MGCP 1.0
C: A1
M: nas/data
",
    // RFC 3435 Appendix F.
    "RQNT 1201 aaln/1@rgw-2567.whatever.net MGCP 1.0
N: ca@ca1.whatever.net:5678
X: 0123456789AC
R: l/hd(N)
S: l/rg
",
    "200 1201 OK
",
    "RQNT 1202 aaln/1@rgw-2567.whatever.net MGCP 1.0
N: ca@ca1.whatever.net:5678
X: 0123456789AC
R: L/hd(A, E(S(L/dl),R(L/oc, L/hu, D/[0-9#*T](D))))
D: (0T|00T|#xxxxxxx|*xx|91xxxxxxxxxx|9011x.T)
S:
Q: process
T: G/ft
",
    "NTFY 2002 aaln/1@rgw-2567.whatever.net MGCP 1.0
N: ca@ca1.whatever.net:5678
X: 0123456789AC
O: L/hd,D/9,D/1,D/2,D/0,D/1,D/8,D/2,D/9,D/4,D/2,D/6,D/6
",
    "CRCX 1204 aaln/1@rgw-2567.whatever.net MGCP 1.0
C: A3C47F21456789F0
L: p:10, a:PCMU
M: recvonly
",
    "200 1204 OK
I: FDE234C8

v=0
o=- 25678 753849 IN IP4 128.96.41.1
s=-
c=IN IP4 128.96.41.1
t=0 0
m=audio 3456 RTP/AVP 0
",
    "CRCX 1205 aaln/1@rgw-2569.whatever.net MGCP 1.0
C: A3C47F21456789F0
L: p:10, a:PCMU
M: sendrecv
X: 0123456789AD
R: L/hd
S: L/rg

v=0
o=- 25678 753849 IN IP4 128.96.41.1
s=-
c=IN IP4 128.96.41.1
t=0 0
m=audio 3456 RTP/AVP 0
",
    "401 1205 Phone off-hook
",
    "CRCX 1206 aaln/1@rgw-2569.whatever.net MGCP 1.0
K: 1205
C: A3C47F21456789F0
L: p:10, a:PCMU
M: inactive

v=0
o=- 25678 753849 IN IP4 128.96.41.1
s=-
c=IN IP4 128.96.41.1
t=0 0
m=audio 3456 RTP/AVP 0
",
    "100 1206 Pending
I: DFE233D1

v=0
o=- 4723891 7428910 IN IP4 128.96.63.25
s=-
c=IN IP4 128.96.63.25
t=0 0
m=audio 3456 RTP/AVP 0
",
    "200 1206 OK
K:
I: DFE233D1

v=0
o=- 4723891 7428910 IN IP4 128.96.63.25
s=-
c=IN IP4 128.96.63.25
t=0 0
m=audio 3456 RTP/AVP 0
",
    "000 1206
",
    "MDCX 1209 aaln/1@rgw-2567.whatever.net MGCP 1.0
C: A3C47F21456789F0
I: FDE234C8
N: ca@ca1.whatever.net
M: sendrecv
",
    "MDCX 1210 aaln/1@rgw-2567.whatever.net MGCP 1.0
C: A3C47F21456789F0
I: FDE234C8
M: recvonly
X: 0123456789AE
R: L/hu
S: G/rt

v=0
o=- 4723891 7428910 IN IP4 128.96.63.25
s=-
c=IN IP4 128.96.63.25
t=0 0
m=audio 3456 RTP/AVP 0
",
    "DLCX 1210 aaln/1@rgw-2567.whatever.net MGCP 1.0
C: A3C47F21456789F0
I: FDE234C8
",
    "250 1210 OK
P: PS=1245, OS=62345, PR=780, OR=45123, PL=10, JI=27, LA=48
",
    "DLCX 1210 aaln/1@rgw-2567.whatever.net MGCP 1.0
C: A3C47F21456789F0
I: FDE234C8
E: 900 - Hardware error
P: PS=1245, OS=62345, PR=780, OR=45123, PL=10, JI=27, LA=48
",
    "DLCX 1210 aaln/1@rgw-2567.whatever.net MGCP 1.0
C: A3C47F21456789F0
",
    "DLCX 1210 aaln/*@rgw-2567.whatever.net MGCP 1.0
",
    "AUEP 1200 *@rgw-2567.whatever.net MGCP 1.0
",
    "200 1200 OK
Z: aaln/1@rgw-2567.whatever.net
Z: aaln/2@rgw-2567.whatever.net
",
    "200 1201 OK
A: a:PCMU, p:10-100, e:on, s:off, v:L;S, m:sendonly;recvonly;sendrecv;inactive;netwloop;netwtest
A: a:G729, p:30-90, e:on, s:on, v:L;S, m:sendonly;recvonly;sendrecv;inactive;confrnce;netwloop
",
    "AUEP 2002 aaln/1@rgw-2567.whatever.net MGCP 1.0
F: R,D,S,X,N,I,T,O,ES
",
    "200 2002 OK
R: L/hu,L/oc(N),D/[0-9](N)
D:
S: L/vmwi(+)
X: 0123456789B1
N: [128.96.41.12]
I: 32F345E2
T: G/ft
O: L/hd,D/9,D/1,D/2
ES: L/hd
",
    "AUCX 2003 aaln/1@rgw-2567.whatever.net MGCP 1.0
I: 32F345E2
F: C,N,L,M,LC,P
",
    "200 2003 OK
C: A3C47F21456789F0
N: ca@ca1.whatever.net
L: p:10, a:PCMU
M: sendrecv
P: PS=395, OS=22850, PR=615, OR=30937, PL=7, JI=26, LA=47

v=0
o=- 4723891 7428910 IN IP4 128.96.63.25
s=-
c=IN IP4 128.96.63.25
t=0 0
m=audio 1296 RTP/AVP 0
",
    "200 1203 OK

v=0
o=- 4723891 7428910 IN IP4 128.96.63.25
s=-
c=IN IP4 128.96.63.25
t=0 0
m=audio 1296 RTP/AVP 0

v=0
",
    "RSIP 1200 aaln/1@rgw-2567.whatever.net MGCP 1.0
RM: graceful
RD: 300
",
    "RSIP 1204 *@rgw-2567.whatever.net MGCP 1.0
RM: restart
RD: 0
",
    "521 1204 OK
N: CA-1@whatever.net
",
    // RFC 3435 §E.5, §3.3, §3.5.5.
    "RSIP 1204 ds/ds3-1/[1-96]@tgw-18.whatever.net MGCP 1.0
RM: restart
RD: 0
",
    "200 1203 OK
C: A3C47F21456789F0
N: [128.96.41.12]
L: p:10, a:PCMU;G726-32
M: sendrecv
P: PS=1245, OS=62345, PR=780, OR=45123, PL=10, JI=27,LA=48

v=0
o=- 25678 753849 IN IP4 128.96.41.1

v=0
o=- 33343 346463 IN IP4 128.96.63.25
",
    "200 2005 OK
.
DLCX 1244 card23/21@tgw-7.example.net MGCP 1.0
C: A3C47F21456789F0
I: FDE234C8
",
    "200 1200 OK
I: FDE234C8, DFE233D1
",
    // RFC 3435 Appendix G: all in lower case, and a transaction 0.
    "rsip 0 *@rgw2.whatever.net mgcp 1.0
rm: restart
",
    "200 0 ok
z: aaln/1@rgw2.whatever.net
z: aaln/2@rgw2.whatever.net
",
    "rqnt 1057 aaln/1@rgw1.whatever.net mgcp 1.0
r: l/hu(n), d/[0-9#*T](d)
s: l/dl
x: 445678945
d: 5xxx
",
    "crcx 1059 aaln/1@rgw1.whatever.net mgcp 1.0
c: 9876543210abcdef
l: p:20, a:PCMU
m: recvonly
",
    "200 1059 ok
i: 456789fedcba5

v=0
o=- 23456789 98765432 IN IP4 192.168.5.7
s=-
c=IN IP4 192.168.5.7
t=0 0
m=audio 6058 RTP/AVP 0
",
];
