//! Return codes and reason codes: RFC 3435 §2.4 and §2.5, with RFC 3661 on when each is due.

use std::fmt;

/// A three-digit return code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReturnCode(pub u16);

impl ReturnCode {
    /// The final response of a long transaction has come.
    pub const ACKNOWLEDGEMENT: Self = Self(0);
    /// The transaction takes long; a final response follows.
    pub const EXECUTING: Self = Self(100);
    /// The transaction waits for its turn; a final response follows.
    pub const QUEUED: Self = Self(101);

    /// Any command has been executed.
    pub const OK: Self = Self(200);
    /// DLCX has been executed.
    pub const DELETED: Self = Self(250);

    /// Something passing is in the way that no other code names.
    pub const TRANSIENT_ERROR: Self = Self(400);
    /// The phone is off-hook where the command needs it on-hook.
    pub const OFF_HOOK: Self = Self(401);
    /// The phone is on-hook where the command needs it off-hook.
    pub const ON_HOOK: Self = Self(402);
    /// Ports, DSP or memory are used up just now.
    pub const NO_RESOURCES_NOW: Self = Self(403);
    /// Bandwidth is used up just now.
    pub const NO_BANDWIDTH_NOW: Self = Self(404);
    /// The endpoint's restart procedure is under way.
    pub const RESTARTING: Self = Self(405);
    /// The transaction ran for too long and was given up.
    pub const TIMED_OUT: Self = Self(406);
    /// Another command, such as DLCX, ended this one.
    pub const ABORTED: Self = Self(407);
    /// Too many commands at once; the call agent is to slow down.
    pub const OVERLOAD: Self = Self(409);
    /// No endpoint is free for an any-of wildcard.
    pub const NO_ENDPOINT_AVAILABLE: Self = Self(410);

    /// There is no endpoint of that name.
    pub const ENDPOINT_UNKNOWN: Self = Self(500);
    /// The endpoint is out of service.
    pub const ENDPOINT_NOT_READY: Self = Self(501);
    /// The endpoint will never have what the command needs.
    pub const NO_RESOURCES: Self = Self(502);
    /// The all-of wildcard names more than can be done at once.
    pub const WILDCARD_TOO_COMPLICATED: Self = Self(503);
    /// The verb is unknown or not supported.
    pub const UNKNOWN_COMMAND: Self = Self(504);
    /// The remote description asks for what is not supported.
    pub const REMOTE_UNSUPPORTED: Self = Self(505);
    /// Local options and remote description exclude each other, but for their codecs (534).
    pub const LOCAL_AND_REMOTE_CONFLICT: Self = Self(506);
    /// What is asked is not supported, and no other code says so better.
    pub const UNSUPPORTED: Self = Self(507);
    /// The quarantine handling is unknown or not supported.
    pub const UNSUPPORTED_QUARANTINE: Self = Self(508);
    /// The remote description is wrong in itself.
    pub const REMOTE_ERROR: Self = Self(509);
    /// The message breaks the protocol, and no other code says how.
    pub const PROTOCOL_ERROR: Self = Self(510);
    /// A critical (`X+`) parameter is unknown.
    pub const UNKNOWN_EXTENSION: Self = Self(511);
    /// A known event that this gateway cannot detect.
    pub const CANNOT_DETECT: Self = Self(512);
    /// A known signal that this gateway cannot generate.
    pub const CANNOT_SIGNAL: Self = Self(513);
    /// The announcement cannot be played.
    pub const CANNOT_ANNOUNCE: Self = Self(514);
    /// There is no such connection, or no longer.
    pub const CONNECTION_UNKNOWN: Self = Self(515);
    /// There is no such call, or the connection is not of it.
    pub const CALL_UNKNOWN: Self = Self(516);
    /// The connection mode is unknown, or not supported here.
    pub const UNSUPPORTED_MODE: Self = Self(517);
    /// The package is unknown or not supported.
    pub const UNSUPPORTED_PACKAGE: Self = Self(518);
    /// Digits are to go by a digit map that was never given.
    pub const NO_DIGIT_MAP: Self = Self(519);
    /// The endpoint is restarting; kept for old peers, 405 says it better.
    pub const RESTARTING_PERMANENT: Self = Self(520);
    /// Another call agent is in charge: the answer to RSIP, with N.
    pub const REDIRECTED: Self = Self(521);
    /// The package has no such event or signal.
    pub const EVENT_UNKNOWN: Self = Self(522);
    /// The event's action is unknown, or not together with the others.
    pub const UNKNOWN_ACTION: Self = Self(523);
    /// The local options contradict each other.
    pub const OPTIONS_INCONSISTENT: Self = Self(524);
    /// A mandatory (`x+`) local option is unknown.
    pub const UNKNOWN_OPTION_EXTENSION: Self = Self(525);
    /// There will never be bandwidth enough.
    pub const NO_BANDWIDTH: Self = Self(526);
    /// The remote description is missing.
    pub const REMOTE_MISSING: Self = Self(527);
    /// The protocol version or profile is not supported.
    pub const INCOMPATIBLE_VERSION: Self = Self(528);
    /// The hardware has failed.
    pub const HARDWARE_FAILURE: Self = Self(529);
    /// CAS signalling broke its protocol.
    pub const CAS_ERROR: Self = Self(530);
    /// The span, or a group of them, has failed.
    pub const TRUNK_GROUP_FAILURE: Self = Self(531);
    /// A local option has a value that is not supported.
    pub const UNSUPPORTED_OPTION_VALUE: Self = Self(532);
    /// The response would not fit into a datagram.
    pub const RESPONSE_TOO_LARGE: Self = Self(533);
    /// No codec is left that both sides and the options allow.
    pub const NO_COMMON_CODEC: Self = Self(534);
    /// The packetization period is not supported.
    pub const UNSUPPORTED_PTIME: Self = Self(535);
    /// The restart method is unknown or not supported.
    pub const UNSUPPORTED_RESTART_METHOD: Self = Self(536);
    /// The digit map has an extension that is unknown or not supported.
    pub const UNSUPPORTED_DIGIT_MAP: Self = Self(537);
    /// An event's or signal's parameter is missing or wrong.
    pub const EVENT_PARAMETER_ERROR: Self = Self(538);
    /// A parameter of the protocol itself is wrong, or not supported in this command.
    pub const UNSUPPORTED_PARAMETER: Self = Self(539);
    /// The endpoint has as many connections as it can.
    pub const CONNECTION_LIMIT: Self = Self(540);
    /// A local option of the protocol itself is wrong or not supported.
    pub const UNSUPPORTED_OPTION: Self = Self(541);

    /// RED: a map of endpoints without their list, or longer than that (RFC 3991 §2.5).
    pub const ENDPOINT_MAP_OUT_OF_RANGE: Self = Self(800);
    /// RED: its parameters where they must not be (RFC 3991 §2.5).
    pub const INCORRECT_USAGE: Self = Self(801);

    /// 0xx: a response has come.
    pub const fn is_acknowledgement(self) -> bool {
        self.0 < 100
    }

    /// 1xx: a final response follows.
    pub const fn is_provisional(self) -> bool {
        self.0 >= 100 && self.0 < 200
    }

    /// 2xx
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }

    /// 4xx: it may work later.
    pub const fn is_transient(self) -> bool {
        self.0 >= 400 && self.0 < 500
    }

    /// 8xx: what it means is a package's business.
    pub const fn is_package_specific(self) -> bool {
        self.0 >= 800 && self.0 < 900
    }

    /// The words to send behind it; empty for codes that have none.
    ///
    /// `OK` on success, because some call agents look for it; one word on an error, because some
    /// can take no more.
    pub const fn commentary(self) -> &'static str {
        match self {
            Self::ACKNOWLEDGEMENT => "",
            Self::EXECUTING => "Executing",
            Self::QUEUED => "Queued",
            Self::TRANSIENT_ERROR => "Transient",
            Self::OFF_HOOK => "Off-hook",
            Self::ON_HOOK => "On-hook",
            Self::NO_RESOURCES_NOW | Self::NO_RESOURCES => "Resources",
            Self::NO_BANDWIDTH_NOW | Self::NO_BANDWIDTH => "Bandwidth",
            Self::RESTARTING | Self::RESTARTING_PERMANENT => "Restarting",
            Self::TIMED_OUT => "Timeout",
            Self::ABORTED => "Aborted",
            Self::OVERLOAD => "Overload",
            Self::NO_ENDPOINT_AVAILABLE => "Busy",
            Self::ENDPOINT_UNKNOWN => "Endpoint",
            Self::ENDPOINT_NOT_READY => "Not-ready",
            Self::WILDCARD_TOO_COMPLICATED => "Wildcard",
            Self::UNKNOWN_COMMAND => "Command",
            Self::REMOTE_UNSUPPORTED | Self::REMOTE_ERROR | Self::REMOTE_MISSING => "Description",
            Self::LOCAL_AND_REMOTE_CONFLICT => "Conflict",
            Self::UNSUPPORTED => "Unsupported",
            Self::UNSUPPORTED_QUARANTINE => "Quarantine",
            Self::PROTOCOL_ERROR => "Protocol",
            Self::UNKNOWN_EXTENSION | Self::UNKNOWN_OPTION_EXTENSION => "Extension",
            Self::CANNOT_DETECT | Self::EVENT_UNKNOWN => "Event",
            Self::CANNOT_SIGNAL => "Signal",
            Self::CANNOT_ANNOUNCE => "Announcement",
            Self::CONNECTION_UNKNOWN => "Connection",
            Self::CALL_UNKNOWN => "Call",
            Self::UNSUPPORTED_MODE => "Mode",
            Self::UNSUPPORTED_PACKAGE => "Package",
            Self::NO_DIGIT_MAP | Self::UNSUPPORTED_DIGIT_MAP => "Digit-map",
            Self::REDIRECTED => "Redirect",
            Self::UNKNOWN_ACTION => "Action",
            Self::OPTIONS_INCONSISTENT => "Inconsistent",
            Self::INCOMPATIBLE_VERSION => "Version",
            Self::HARDWARE_FAILURE => "Hardware",
            Self::CAS_ERROR => "CAS",
            Self::TRUNK_GROUP_FAILURE => "Facility",
            Self::UNSUPPORTED_OPTION_VALUE | Self::UNSUPPORTED_OPTION => "Option",
            Self::RESPONSE_TOO_LARGE => "Size",
            Self::NO_COMMON_CODEC => "Codec",
            Self::UNSUPPORTED_PTIME => "Ptime",
            Self::UNSUPPORTED_RESTART_METHOD => "Method",
            Self::EVENT_PARAMETER_ERROR | Self::UNSUPPORTED_PARAMETER => "Parameter",
            Self::CONNECTION_LIMIT => "Limit",
            _ if self.is_success() => "OK",
            _ => "",
        }
    }
}

/// Its three digits.
impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// A three-digit reason code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReasonCode(pub u16);

impl ReasonCode {
    /// Nothing is wrong with the endpoint; only in answers to AUEP.
    pub const NORMAL: Self = Self(0);
    /// The endpoint malfunctions.
    pub const MALFUNCTION: Self = Self(900);
    /// The endpoint is taken out of service.
    pub const OUT_OF_SERVICE: Self = Self(901);
    /// The layer below is gone, such as frame alignment.
    pub const LOWER_LAYER_LOST: Self = Self(902);
    /// A reserved quality of service is gone.
    pub const RESERVATION_LOST: Self = Self(903);
    /// An operator did it.
    pub const MANUAL_INTERVENTION: Self = Self(904);
    /// The facility failed, such as a DS0.
    pub const FACILITY_FAILURE: Self = Self(905);

    /// The words to send behind it; empty for codes that have none.
    pub const fn commentary(self) -> &'static str {
        match self {
            Self::NORMAL => "Endpoint state is normal",
            Self::MALFUNCTION => "Endpoint malfunctioning",
            Self::OUT_OF_SERVICE => "Endpoint taken out of service",
            Self::LOWER_LAYER_LOST => "Loss of lower layer connectivity",
            Self::RESERVATION_LOST => "QoS resource reservation was lost",
            Self::MANUAL_INTERVENTION => "Manual intervention",
            Self::FACILITY_FAILURE => "Facility failure",
            _ => "",
        }
    }
}

/// Its three digits.
impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_one_word_and_success_says_ok() {
        for code in (0..1000).map(ReturnCode) {
            let words = code.commentary();
            assert!(!words.contains(' ') && words.is_ascii(), "{code} {words}");
            assert_eq!(words == "OK", code.is_success(), "{code}");
        }
        let known = (400..=541).map(ReturnCode).filter(|code| !code.commentary().is_empty());
        assert_eq!(known.count(), 10 + 42);
    }

    #[test]
    fn codes_have_three_digits_on_the_wire() {
        assert_eq!(ReturnCode::ACKNOWLEDGEMENT.to_string(), "000");
        assert_eq!(ReasonCode::NORMAL.to_string(), "000");
        assert_eq!(ReturnCode::DELETED.to_string(), "250");
    }

    #[test]
    fn each_hundred_is_a_kind() {
        let kinds = |code: u16| {
            let code = ReturnCode(code);
            [
                code.is_acknowledgement(),
                code.is_provisional(),
                code.is_success(),
                code.is_transient(),
                code.is_package_specific(),
            ]
            .iter()
            .position(|&kind| kind)
        };
        let all = [0, 199, 250, 410, 899, 302, 541].map(kinds);
        assert_eq!(all, [Some(0), Some(1), Some(2), Some(3), Some(4), None, None]);
    }
}
