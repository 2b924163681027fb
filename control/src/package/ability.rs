//! What makes events happen and signals sound, and what the gateway must be able to do for it.
//!
//! This is all that the packages and the rest of the gateway know of each other.

use dataplane::link::{CheckTone, Digit};

/// Something the gateway can do, or cannot: events and signals stand and fall with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ability {
    /// Events are notified, accumulated and quarantined (RFC 3435 §4.4.1).
    Notifications,
    /// Several signals are played one after the other.
    SignalLists,
    /// Endpoints are audited in bulk (RFC 3624).
    BulkAudit,
    /// Endpoints are redirected and reset in bulk (RFC 3991).
    RedirectAndReset,
    /// Lockstep is reported (RFC 3992).
    LockstepReports,
    /// It is told when a connection has lasted long.
    ConnectionAge,
    /// Dialled digits are detected, and the time between them is measured.
    DigitDetection,
    /// It is known how long a digit lasts.
    DigitDuration,
    /// Digits are dialled.
    DigitGeneration,
    /// Tones that tell a caller how the call goes are played.
    CallTones,
    /// Call tones are detected, as far as their cadence or their pitches tell them apart.
    CallToneDetection,
    /// A single burst is detected, which nothing tells from any other.
    BurstDetection,
    /// CNG and V.21 preamble are detected.
    FaxToneDetection,
    /// ANS and its kin are detected.
    ModemToneDetection,
    /// Test tones are sent.
    TestTones,
    /// Milliwatts and test progress tones are detected.
    TestToneDetection,
    /// Test patterns are sent and detected.
    TestPatterns,
    /// Continuity of the circuit is tested from here.
    ContinuityTest,
    /// The circuit is a loop or a transponder for the other side's test.
    ContinuityResponse,
    /// Continuity is tested over a connection.
    NetworkContinuityTest,
    /// Answer and blocking are signalled by ABCD bits.
    LineSignalling,
    /// What takes a telephone is taken for granted, though there is none.
    Telephones,
    /// Patterns are detected and sent that are agreed on with the call agent.
    Patterns,
    /// What its own RFC calls not well defined.
    Undefined,
    /// The first packet of a connection is told.
    MediaStart,
    /// It is told when a connection gets no packets.
    MediaTimeout,
    /// It is told when a connection's packets are not delivered.
    Unreachable,
    /// Loss on a connection is measured against a threshold.
    LossThreshold,
    /// Delay and jitter of a connection are, too.
    QualityThreshold,
    /// Changes of the jitter buffer, the codec and the packetization are told.
    MediaChanges,
}

/// A set of abilities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abilities(u32);

impl Abilities {
    /// These.
    pub const fn of(abilities: &[Ability]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < abilities.len() {
            bits |= 1 << abilities[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// These, and that one only if `is_there`.
    #[must_use]
    pub const fn with(self, ability: Ability, is_there: bool) -> Self {
        let bit = 1 << ability as u32;
        Self(if is_there { self.0 | bit } else { self.0 & !bit })
    }

    /// Whether this one is there.
    pub const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u32) != 0
    }
}

/// What makes an event happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// A time-out signal of the package is over; the parameter says which.
    SignalCompleted,
    /// A time-out signal of the package failed; the parameter says which.
    SignalFailed,
    /// An embedded request failed; the parameter is the code.
    EmbeddedRequestFailed,
    /// The list of observed events is full.
    ObservedEventsFull,
    /// The quarantine list was full.
    QuarantineOverflowed,
    /// A connection has lasted for an hour, or as long as is configured.
    ConnectionAge,
    /// A digit was dialled.
    Digit(Digit),
    /// No digit was dialled for the time of T.
    DigitTimer,
    /// A digit has lasted for 2 s.
    DigitHeld,
    /// A digit has lasted for as long as was asked, or is over; the parameters say which and how long.
    DigitDuration,
    /// V.21 preamble, or CNG.
    FaxTone,
    /// ANS, ANSam, with or without phase reversals.
    ModemTone,
    /// The same, where that starts no procedure: the parameter says `start`.
    PlainFax,
    /// A procedure for fax has started or ended.
    FaxProcedure,
    /// A telephone's hook has moved.
    Hook,
    /// A tone; special information tones have a parameter.
    Tone(Tone),
    /// The continuity test with this check tone has passed.
    Continuity(CheckTone),
    /// The same over a connection.
    NetworkContinuity(CheckTone),
    /// The test pattern of the parameter.
    TestPattern,
    /// A pattern that was agreed on; the parameter is its number.
    Pattern,
    /// The called party has answered.
    Answer,
    /// Nobody knows.
    Undefined,
    /// The first packet came on a connection.
    MediaStart,
    /// No packet came on a connection for some time; the parameter is how many seconds.
    MediaTimeout,
    /// ICMP said that packets were not delivered; the parameters are how many, and the last code.
    Unreachable,
    /// More packets were lost than was asked about; the parameter is the threshold in 1 of 100,000.
    PacketLoss,
    /// Loss, or delay and jitter, are worse than configured.
    Quality,
    /// The jitter buffer has changed; the parameter is its size in ms.
    JitterBuffer,
    /// Packetization has changed; the parameter is the new period in ms.
    PacketTime,
    /// The codec has changed; the parameter is its payload type in hex.
    Codec,
}

/// What is to be made where a signal is applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Making {
    /// This tone.
    Tone(Tone),
    /// Ringback on the connection that the parameter names.
    RingbackOn,
    /// This digit.
    Digit(Digit),
    /// The digit of the parameter, for as long as the signal lasts.
    LongDigit,
    /// Nothing: only its end matters.
    Nothing,
    /// The signals of the parameters, one after the other.
    List,
    /// A continuity test with this go tone.
    Continuity(CheckTone),
    /// The same over a connection.
    NetworkContinuity(CheckTone),
    /// A tone for a tone, as the parameters say.
    Transponder,
    /// What comes from the line goes back to it.
    Loopback,
    /// The test pattern of the parameter.
    TestPattern,
    /// A pattern that was agreed on.
    Pattern,
    /// Answer, by ABCD bits.
    Answer,
    /// Blocking, by ABCD bits.
    Blocking,
    /// Nobody knows what.
    Undefined,
    /// Something that a telephone does, or that its line does to it.
    Telephone,
}

/// A tone, by what it is for (ITU-T E.180, E.182, Q.724).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tone {
    /// The called party is alerted.
    Ringback,
    /// The called party is engaged.
    Busy,
    /// No path through the network.
    Congestion,
    /// The same, by its North American name.
    Reorder,
    /// A request was taken.
    Confirmation,
    /// The number cannot be called.
    Intercept,
    /// Digits are awaited.
    Dial,
    /// The same, and something has been acknowledged.
    StutterDial,
    /// The same, and messages wait.
    MessageWaiting,
    /// Another caller is there.
    CallWaiting,
    /// The same, in a pattern that says something of the caller: 2 to 4.
    DistinctiveCallWaiting(u8),
    /// The conversation is being recorded.
    RecorderWarning,
    /// Somebody may be listening in.
    Alerting,
    /// Something is to be said or keyed in.
    Prompt,
    /// The number of a card is to be keyed in.
    CallingCard,
    /// The telephone was not hung up.
    OffHookWarning,
    /// The call gives way to one more urgent.
    Preemption,
    /// The line called is permanently off-hook.
    PermanentSignal,
    /// Special information; the parameter says which, 1 to 7.
    SpecialInformation,
    /// Special information 2.
    NoCircuit,
    /// 1000 Hz
    Milliwatt1000,
    /// 1004 Hz
    Milliwatt1004,
    /// 1013.8 Hz
    Milliwatt1013,
    /// None at all, at the right impedance: test line 102.
    Quiet,
    /// 2225 Hz: test line 105.
    TestProgress,
}

impl Source {
    /// What it takes; `None` if it takes a time-out signal of the same package.
    pub fn needs(self) -> Option<Ability> {
        Some(match self {
            Self::SignalCompleted | Self::SignalFailed => return None,
            Self::EmbeddedRequestFailed | Self::ObservedEventsFull | Self::QuarantineOverflowed => {
                Ability::Notifications
            }
            Self::ConnectionAge => Ability::ConnectionAge,
            Self::Digit(_) | Self::DigitTimer => Ability::DigitDetection,
            Self::DigitHeld | Self::DigitDuration => Ability::DigitDuration,
            Self::FaxTone | Self::PlainFax | Self::FaxProcedure => Ability::FaxToneDetection,
            Self::Hook => Ability::Telephones,
            Self::ModemTone => Ability::ModemToneDetection,
            Self::Tone(tone) if tone.is_for_tests() => Ability::TestToneDetection,
            Self::Tone(Tone::Prompt) => Ability::BurstDetection,
            Self::Tone(_) => Ability::CallToneDetection,
            Self::Continuity(_) => Ability::ContinuityTest,
            Self::NetworkContinuity(_) => Ability::NetworkContinuityTest,
            Self::TestPattern => Ability::TestPatterns,
            Self::Pattern => Ability::Patterns,
            Self::Answer => Ability::LineSignalling,
            Self::Undefined => Ability::Undefined,
            Self::MediaStart => Ability::MediaStart,
            Self::MediaTimeout => Ability::MediaTimeout,
            Self::Unreachable => Ability::Unreachable,
            Self::PacketLoss => Ability::LossThreshold,
            Self::Quality => Ability::QualityThreshold,
            Self::JitterBuffer | Self::PacketTime | Self::Codec => Ability::MediaChanges,
        })
    }
}

impl Making {
    /// What it takes.
    pub fn needs(self) -> Ability {
        match self {
            Self::Tone(tone) if tone.is_for_tests() => Ability::TestTones,
            Self::Tone(_) | Self::RingbackOn => Ability::CallTones,
            Self::Digit(_) | Self::LongDigit => Ability::DigitGeneration,
            Self::Nothing => Ability::DigitDetection,
            Self::List => Ability::SignalLists,
            Self::Continuity(_) => Ability::ContinuityTest,
            Self::NetworkContinuity(_) => Ability::NetworkContinuityTest,
            Self::Transponder | Self::Loopback => Ability::ContinuityResponse,
            Self::TestPattern => Ability::TestPatterns,
            Self::Pattern => Ability::Patterns,
            Self::Answer | Self::Blocking => Ability::LineSignalling,
            Self::Undefined => Ability::Undefined,
            Self::Telephone => Ability::Telephones,
        }
    }
}

impl Tone {
    fn is_for_tests(self) -> bool {
        match self {
            Self::Ringback
            | Self::Busy
            | Self::Congestion
            | Self::Reorder
            | Self::Confirmation
            | Self::Intercept
            | Self::Dial
            | Self::StutterDial
            | Self::MessageWaiting
            | Self::CallWaiting
            | Self::DistinctiveCallWaiting(_)
            | Self::RecorderWarning
            | Self::Alerting
            | Self::Prompt
            | Self::CallingCard
            | Self::OffHookWarning
            | Self::Preemption
            | Self::PermanentSignal
            | Self::SpecialInformation
            | Self::NoCircuit => false,
            Self::Milliwatt1000
            | Self::Milliwatt1004
            | Self::Milliwatt1013
            | Self::Quiet
            | Self::TestProgress => true,
        }
    }
}
