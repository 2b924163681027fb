//! The few calls of bpf(2) that are needed: make a map, fill it, load a program, attach it.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::program::Instruction;

/// How an XDP program is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hook {
    /// In the card's driver, before the kernel makes anything of a frame (`XDP_FLAGS_DRV_MODE`).
    Native,
    /// In the kernel's own reception, with every card (`XDP_FLAGS_SKB_MODE`).
    Generic,
}

/// A map from the numbers from 0 to values of one type, which a program reads.
pub(super) struct Map<T> {
    descriptor: OwnedFd,
    values: PhantomData<fn(T)>,
}

impl Map<RawFd> {
    /// Room for so many AF_XDP sockets. One that is closed is gone from it.
    pub(super) fn sockets(entries: u32) -> io::Result<Self> {
        Self::new(MAP_TYPE_XSKMAP, entries)
    }
}

impl<T: Copy> Map<T> {
    /// So many values, all of them zeros.
    pub(super) fn array(entries: u32) -> io::Result<Self> {
        Self::new(MAP_TYPE_ARRAY, entries)
    }

    fn new(kind: u32, entries: u32) -> io::Result<Self> {
        #[repr(C)]
        struct Request {
            kind: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
            flags: u32,
        }
        let (key_size, value_size) = (size_of::<u32>() as u32, size_of::<T>() as u32);
        let request = Request { kind, key_size, value_size, max_entries: entries, flags: 0 };
        // SAFETY: a map's request holds no pointers, and BPF_MAP_CREATE gives a descriptor.
        let descriptor = unsafe { descriptor(MAP_CREATE, &request) }?;
        Ok(Self { descriptor, values: PhantomData })
    }

    /// Sets one value.
    pub(super) fn set(&self, key: u32, value: &T) -> io::Result<()> {
        #[repr(C)]
        struct Request {
            map: u32,
            reserved: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let map = self.descriptor.as_raw_fd() as u32;
        let (key, value) = (&raw const key as u64, &raw const *value as u64);
        let request = Request { map, reserved: 0, key, value, flags: 0 };
        // SAFETY: the request points to a key and a value of the sizes that the map was made with, which
        // outlive the call.
        unsafe { call(MAP_UPDATE_ELEM, &request) }.map(drop)
    }
}

impl<T> AsRawFd for Map<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Has the kernel verify a program for XDP and take it.
pub(super) fn load(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Request {
        kind: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
    }
    let mut request = Request {
        kind: PROGRAM_XDP,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        // The kernel lends its clock only to programs whose licence GPL code may join.
        license: c"Dual MIT/GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"tollgate_rtp\0\0\0\0",
    };
    // SAFETY: the request points to as many instructions as it says and to a C string, and both outlive
    // the call, which gives a descriptor.
    let refused = match unsafe { descriptor(PROG_LOAD, &request) } {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => error,
        loaded => return loaded,
    };
    // The verifier does not like the program. It says why if it is given room to.
    let mut log = vec![0_u8; VERIFIER_LOG];
    (request.log_level, request.log_size, request.log) = (1, log.len() as u32, log.as_mut_ptr() as u64);
    // SAFETY: as above; the log, too, is as large as the request says, and outlives the call.
    unsafe { descriptor(PROG_LOAD, &request) }.map_err(|_| {
        let end = log.iter().position(|&octet| octet == 0).unwrap_or(log.len());
        let log = String::from_utf8_lossy(&log[..end]).into_owned();
        io::Error::new(refused.kind(), format!("the kernel does not accept the XDP program: {log}"))
    })
}

/// Attaches a program to an interface for as long as the descriptor it gives is open: the kernel detaches
/// it when the process ends, however that ends.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32, hook: Hook) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Request {
        program: u32,
        interface: u32,
        attach_type: u32,
        flags: u32,
    }
    let flags = match hook {
        Hook::Generic => 1 << 1,
        Hook::Native => 1 << 2,
    };
    let request = Request { program: program.as_raw_fd() as u32, interface, attach_type: ATTACH_XDP, flags };
    // SAFETY: a link's request holds no pointers, and BPF_LINK_CREATE gives a descriptor.
    unsafe { descriptor(LINK_CREATE, &request) }
}

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_XSKMAP: u32 = 17;

const PROGRAM_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;

/// Octets of what the verifier has to say.
const VERIFIER_LOG: usize = 64 * 1024;

/// # Safety
/// As for [`call`]; and the command gives a descriptor of its own.
unsafe fn descriptor<T>(command: libc::c_long, request: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call(command, request) }?;
    // SAFETY: the kernel has just opened it for this call, so nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// `request` is what the kernel expects of this command, and what it points to is as large as it says and
/// lives until the call returns.
unsafe fn call<T>(command: libc::c_long, request: &T) -> io::Result<i32> {
    // SAFETY: the caller's promise. Needed because no crate here wraps bpf(2).
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *request, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
