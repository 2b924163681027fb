//! The program that the kernel runs for every frame that comes to the interface: media to the ring, all
//! else to the kernel as if there were no program.
//!
//! It is short enough to be written by hand, so no compiler for it is needed where Tollgate is built. In
//! words: a frame goes to the AF_XDP socket of its receive queue if it is plain Ethernet; IPv4 without
//! options and not a fragment, or IPv6 without extension headers; UDP; to the local address and one of the
//! ports of the core that has this queue; and not longer than any datagram that is taken. What it was
//! not sure of reaches the UDP socket that is bound to the same port, and is not lost.
//!
//! In front of what it redirects it writes the time, in the gateway's own clock.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};

use self::Label::{Ipv6, Pass, Port, Redirect};
use self::Width::{Octet, Octets2, Octets4, Octets8};
use super::bpf::Map;
use crate::net::{DATAGRAM_MAX, Ports};

/// One instruction as the kernel reads it (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    code: u8,
    /// The destination register in the lower four bits, the source above.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const _: () = assert!(size_of::<Instruction>() == 8);

/// The ports of the core that has a receive queue: the value of the map of rules, by queue.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Rule {
    /// As it stands in the packet.
    v4: [u8; 4],
    v4_first: u16,
    /// None if 0.
    v4_count: u16,
    /// As it stands in the packet.
    v6: [u8; 16],
    v6_first: u16,
    /// None if 0.
    v6_count: u16,
}

const _: () = assert!(size_of::<Rule>() == 28);

impl Rule {
    /// The rule for all of a core's ports; `None` if it has two ranges of one family.
    pub(super) fn new(ports: &Ports) -> Option<Self> {
        let mut rule = Self::default();
        for range in &ports.0 {
            let count = range.pairs * 2;
            let (first, taken) = match range.address {
                IpAddr::V4(address) => {
                    rule.v4 = address.octets();
                    (&mut rule.v4_first, &mut rule.v4_count)
                }
                IpAddr::V6(address) => {
                    rule.v6 = address.octets();
                    (&mut rule.v6_first, &mut rule.v6_count)
                }
            };
            if *taken != 0 {
                return None;
            }
            (*first, *taken) = (range.first, count);
        }
        Some(rule)
    }
}

// Where each field of `Rule` is.
const V4: i16 = 0;
const V4_FIRST: i16 = 4;
const V4_COUNT: i16 = 6;
const V6: i16 = 8;
const V6_FIRST: i16 = 24;
const V6_COUNT: i16 = 26;

/// What stands in front of a redirected frame: when it came, and that it does.
pub(super) const STAMP: usize = 16;

/// What says that the time stands there.
pub(super) const STAMP_MARK: u32 = 0x746F_6C6C;

/// Octets of the longest frame that is redirected: all headers and the longest datagram.
const FRAME_MAX: i32 = 14 + 40 + 8 + DATAGRAM_MAX as i32;

/// The program, over maps of rules and of sockets by receive queue.
///
/// Registers 6 to 9 are kept through calls of the kernel: r6 is the frame's context, r9 its receive queue, r7
/// where its octets begin, r8 where they end. r0 is the rule, once it is found.
pub(super) fn assemble(rules: &Map<Rule>, sockets: &Map<RawFd>) -> Vec<Instruction> {
    let mut p = Assembler::default();
    read_context(&mut p);
    find_rule(&mut p, rules);
    check_length_and_kind(&mut p);
    match_ipv4(&mut p);
    match_ipv6(&mut p);
    match_port(&mut p);
    stamp(&mut p);
    redirect(&mut p, sockets);
    p.finish()
}

/// `struct xdp_md` is data, data_end, data_meta, interface, queue.
#[rustfmt::skip]
fn read_context(p: &mut Assembler) {
    p.copy(6, 1);                                   // r6 = context
    p.load(Octets4, 9, 6, 16);                      // r9 = context->rx_queue_index
    p.load(Octets4, 7, 6, 0);                       // r7 = context->data
    p.load(Octets4, 8, 6, 4);                       // r8 = context->data_end
}

/// The rule of this queue. There is one for each that a core has.
#[rustfmt::skip]
fn find_rule(p: &mut Assembler, rules: &Map<Rule>) {
    p.store(Octets4, 10, -4, 9);                    // stack[-4] = queue
    p.load_map(1, rules);                           // r1 = rules
    p.copy(2, 10);                                  // r2 = &stack
    p.add(2, -4);                                   // r2 = &stack[-4]
    p.call(MAP_LOOKUP);                             // r0 = rules[queue]
    p.jump_equal(0, 0, Pass);                       // no rule: not ours
}

/// Long enough for the shortest that is taken, short enough for what we have room for; and of which kind.
#[rustfmt::skip]
fn check_length_and_kind(p: &mut Assembler) {
    p.copy(1, 7);                                   // r1 = data
    p.add(1, 14 + 20 + 8);                          // r1 = behind Ethernet, IPv4 and UDP headers
    p.jump_greater_register(1, 8, Pass);            // beyond the end: too short
    p.copy(1, 7);                                   // r1 = data
    p.add(1, FRAME_MAX);                            // r1 = behind the longest frame
    p.jump_less_register(1, 8, Pass);               // before the end: too long
    p.load(Octets2, 3, 7, 12);                      // r3 = EtherType
    p.host_order_16(3);
    p.jump_equal(3, 0x86DD, Ipv6);                  // IPv6
    p.jump_not_equal(3, 0x0800, Pass);              // neither: ARP, VLAN, ..
}

/// IPv4, from octet 14: r3 = its port, r4 = our first, r5 = how many are ours.
#[rustfmt::skip]
fn match_ipv4(p: &mut Assembler) {
    p.load(Octet, 3, 7, 14);                        // r3 = version and header length
    p.jump_not_equal(3, 0x45, Pass);                // with options: the kernel reads those
    p.load(Octets2, 3, 7, 14 + 6);                  // r3 = flags and fragment offset
    p.host_order_16(3);
    p.and(3, 0x3FFF);                               // r3 = "more fragments" and offset
    p.jump_not_equal(3, 0, Pass);                   // a fragment: the kernel puts it together
    p.load(Octet, 3, 7, 14 + 9);                    // r3 = protocol
    p.jump_not_equal(3, 17, Pass);                  // not UDP
    p.load(Octets4, 3, 7, 14 + 16);                 // r3 = destination
    p.load(Octets4, 4, 0, V4);                      // r4 = ours
    p.jump_not_equal_register(3, 4, Pass);          // to somebody else
    p.load(Octets2, 3, 7, 14 + 20 + 2);             // r3 = destination port
    p.load(Octets2, 4, 0, V4_FIRST);                // r4 = our first
    p.load(Octets2, 5, 0, V4_COUNT);                // r5 = how many are ours
    p.jump(Port);
}

/// IPv6, from octet 14, to the same registers.
#[rustfmt::skip]
fn match_ipv6(p: &mut Assembler) {
    p.label(Ipv6);
    p.copy(1, 7);                                   // r1 = data
    p.add(1, 14 + 40 + 8);                          // r1 = behind Ethernet, IPv6 and UDP headers
    p.jump_greater_register(1, 8, Pass);            // beyond the end: too short
    p.load(Octet, 3, 7, 14);                        // r3 = version and the upper half of traffic class
    p.and(3, 0xF0);
    p.jump_not_equal(3, 0x60, Pass);                // not version 6
    p.load(Octet, 3, 7, 14 + 6);                    // r3 = next header
    p.jump_not_equal(3, 17, Pass);                  // not UDP, or something before it: a fragment, ..
    for word in 0..4 {                              // four octets of the destination at a time
        p.load(Octets4, 3, 7, 14 + 24 + 4 * word);  // r3 = theirs
        p.load(Octets4, 4, 0, V6 + 4 * word);       // r4 = ours
        p.jump_not_equal_register(3, 4, Pass);      // to somebody else
    }
    p.load(Octets2, 3, 7, 14 + 40 + 2);             // r3 = destination port
    p.load(Octets2, 4, 0, V6_FIRST);                // r4 = our first
    p.load(Octets2, 5, 0, V6_COUNT);                // r5 = how many are ours
}

/// One of ours? A port below the first is a very large number after the subtraction.
#[rustfmt::skip]
fn match_port(p: &mut Assembler) {
    p.label(Port);
    p.host_order_16(3);
    p.subtract_register(3, 4);                      // r3 = the port's place among ours
    p.jump_not_less_register(3, 5, Pass);           // not one of ours
}

/// The time, in front of the frame. Where a card's driver has no room for that, it goes without.
#[rustfmt::skip]
fn stamp(p: &mut Assembler) {
    p.copy(1, 6);                                   // r1 = context
    p.set(2, -(STAMP as i32));                      // r2 = room to make
    p.call(ADJUST_META);                            // r0 = 0 if there is room now
    p.jump_not_equal(0, 0, Redirect);               // there is none
    p.load(Octets4, 7, 6, 0);                       // r7 = context->data
    p.load(Octets4, 8, 6, 8);                       // r8 = context->data_meta
    p.copy(1, 8);                                   // r1 = data_meta
    p.add(1, STAMP as i32);                         // r1 = behind the room
    p.jump_greater_register(1, 7, Redirect);        // never; the verifier wants to see it
    p.call(KTIME);                                  // r0 = nanoseconds of the monotonic clock
    p.store(Octets8, 8, 0, 0);                      // room[0..8] = the time
    p.set(1, STAMP_MARK as i32);                    // r1 = the mark
    p.store(Octets4, 8, 8, 1);                      // room[8..12] = the mark
    p.store(Octets4, 8, 12, 1);                     // room[12..16] = the mark again
}

/// To the socket of the queue; if there is none yet, and whatever is not ours, to the kernel.
#[rustfmt::skip]
fn redirect(p: &mut Assembler, sockets: &Map<RawFd>) {
    p.label(Redirect);
    p.load_map(1, sockets);                         // r1 = sockets
    p.copy(2, 9);                                   // r2 = queue
    p.set(3, XDP_PASS);                             // r3 = what to do without a socket
    p.call(REDIRECT_MAP);                           // r0 = what to do
    p.exit();

    p.label(Pass);
    p.set(0, XDP_PASS);                             // r0 = on to the kernel
    p.exit();
}

/// The verdict that lets the kernel have a frame.
const XDP_PASS: i32 = 2;

// Functions of the kernel that programs may call.
const MAP_LOOKUP: i32 = 1;
const KTIME: i32 = 5;
const REDIRECT_MAP: i32 = 51;
const ADJUST_META: i32 = 54;

/// Places that are jumped to, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    Ipv6,
    Port,
    Redirect,
    Pass,
}

const LABELS: usize = Pass as usize + 1;

/// How much is loaded or stored: the size bits of an instruction.
#[derive(Clone, Copy)]
enum Width {
    Octets4 = 0x00,
    Octets2 = 0x08,
    Octet = 0x10,
    Octets8 = 0x18,
}

/// Puts instructions one behind the other, and ties jumps to where they go. Jumps only go forward.
#[derive(Default)]
struct Assembler {
    instructions: Vec<Instruction>,
    /// Jumps that wait for their label.
    jumps: Vec<(usize, Label)>,
    labels: [Option<usize>; LABELS],
}

impl Assembler {
    fn push(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { code, registers: from << 4 | to, offset, immediate });
    }

    fn push_jump(&mut self, code: u8, left: u8, right: u8, immediate: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.push(code, left, right, 0, immediate);
    }

    /// `to = from`
    fn copy(&mut self, to: u8, from: u8) {
        self.push(0xBF, to, from, 0, 0);
    }

    /// `to = value`
    fn set(&mut self, to: u8, value: i32) {
        self.push(0xB7, to, 0, 0, value);
    }

    /// `to += value`
    fn add(&mut self, to: u8, value: i32) {
        self.push(0x07, to, 0, 0, value);
    }

    /// `to -= from`
    fn subtract_register(&mut self, to: u8, from: u8) {
        self.push(0x1F, to, from, 0, 0);
    }

    /// `to &= value`
    fn and(&mut self, to: u8, value: i32) {
        self.push(0x57, to, 0, 0, value);
    }

    /// `to` has two octets of a packet, and then the number they are.
    fn host_order_16(&mut self, to: u8) {
        self.push(0xDC, to, 0, 0, 16);
    }

    /// `to = *(from + offset)`
    fn load(&mut self, width: Width, to: u8, from: u8, offset: i16) {
        self.push(0x61 | width as u8, to, from, offset, 0);
    }

    /// `*(to + offset) = from`
    fn store(&mut self, width: Width, to: u8, offset: i16, from: u8) {
        self.push(0x63 | width as u8, to, from, offset, 0);
    }

    /// `to = map`: an instruction of twice the length, which names the map by its descriptor (1).
    fn load_map<T>(&mut self, to: u8, map: &Map<T>) {
        self.push(0x18, to, 1, 0, map.as_raw_fd());
        self.push(0, 0, 0, 0, 0);
    }

    /// `r0 = function(r1, r2, ..)`; r1 to r5 are lost.
    fn call(&mut self, function: i32) {
        self.push(0x85, 0, 0, 0, function);
    }

    fn exit(&mut self) {
        self.push(0x95, 0, 0, 0, 0);
    }

    fn jump(&mut self, label: Label) {
        self.push_jump(0x05, 0, 0, 0, label);
    }

    fn jump_equal(&mut self, left: u8, value: i32, label: Label) {
        self.push_jump(0x15, left, 0, value, label);
    }

    fn jump_not_equal(&mut self, left: u8, value: i32, label: Label) {
        self.push_jump(0x55, left, 0, value, label);
    }

    fn jump_not_equal_register(&mut self, left: u8, right: u8, label: Label) {
        self.push_jump(0x5D, left, right, 0, label);
    }

    fn jump_greater_register(&mut self, left: u8, right: u8, label: Label) {
        self.push_jump(0x2D, left, right, 0, label);
    }

    fn jump_not_less_register(&mut self, left: u8, right: u8, label: Label) {
        self.push_jump(0x3D, left, right, 0, label);
    }

    fn jump_less_register(&mut self, left: u8, right: u8, label: Label) {
        self.push_jump(0xAD, left, right, 0, label);
    }

    /// What is jumped to by this name comes next.
    fn label(&mut self, label: Label) {
        self.labels[label as usize] = Some(self.instructions.len());
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let to = self.labels[label as usize].expect("every label that is jumped to is set");
            // Counted from the instruction behind the jump.
            self.instructions[at].offset = (to - at - 1) as i16;
        }
        self.instructions
    }
}
