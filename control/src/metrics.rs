//! What control counts.

dataplane::counters! {
    /// Datagrams from those who may control the gateway.
    Datagrams = "mgcp_datagrams",
    /// Datagrams dropped unread: their source is on no allow list.
    DroppedSource = "mgcp_dropped_source",
    /// Datagrams dropped unread: their source sends too many.
    DroppedRate = "mgcp_dropped_rate",
    /// CRCX commands refused because too many commands were under way.
    Shed = "mgcp_shed",
    /// Messages that break MGCP's grammar.
    Malformed = "mgcp_malformed",
    /// EPCF commands received.
    EndpointConfiguration = "mgcp_epcf",
    /// CRCX commands received.
    CreateConnection = "mgcp_crcx",
    /// MDCX commands received.
    ModifyConnection = "mgcp_mdcx",
    /// DLCX commands received.
    DeleteConnection = "mgcp_dlcx",
    /// RQNT commands received.
    NotificationRequest = "mgcp_rqnt",
    /// AUEP commands received.
    AuditEndpoint = "mgcp_auep",
    /// AUCX commands received.
    AuditConnection = "mgcp_aucx",
    /// Commands received that no gateway carries out.
    OtherCommand = "mgcp_other_command",
    /// Commands that had come before and were not carried out again.
    Repeated = "mgcp_repeated",
    /// Commands answered 2xx.
    Succeeded = "mgcp_answered_2xx",
    /// Commands answered 4xx.
    RefusedForNow = "mgcp_answered_4xx",
    /// Commands answered 5xx, or with a package's own code (8xx).
    Refused = "mgcp_answered_5xx",
    /// Provisional responses: 100, 101.
    Promised = "mgcp_promised",
    /// Responses forgotten before their time, to make room, though nobody had acknowledged them.
    Evicted = "mgcp_responses_evicted",
    /// Commands refused because as many transactions were under way as can be known.
    TransactionsFull = "mgcp_transactions_full",
    /// Responses received to no command of ours.
    Stray = "mgcp_stray_responses",
    /// RSIP commands sent.
    Announced = "mgcp_rsip_sent",
    /// NTFY commands sent.
    Notified = "mgcp_ntfy_sent",
    /// DLCX commands sent.
    Farewells = "mgcp_dlcx_sent",
    /// Notifications that never reached a call agent.
    NotificationsLost = "mgcp_ntfy_lost",
    /// Commands of ours that were sent again.
    Resent = "mgcp_commands_resent",
    /// Commands of ours of which the network says that it could not deliver them, believably.
    Undelivered = "mgcp_undelivered",
    /// Commands of ours that nobody answered.
    Unanswered = "mgcp_unanswered",
    /// Commands of ours put off because as many were under way as can be.
    PutOff = "mgcp_commands_put_off",
    /// How often a call agent did not answer and, there being too many such, waits together with others.
    SilencesShared = "mgcp_silent_agents_shared",
    /// Names of call agents not looked up because as many were known as can be.
    NamesFull = "names_full",
    /// DLCX and reports of lockstep dropped because too many of them waited.
    FarewellsLost = "mgcp_dlcx_lost",
    /// Events that were asked for and forgotten, because their endpoint's lists were full.
    EventsLost = "events_lost",
    /// Connections made.
    ConnectionsMade = "connections_made",
    /// Connections ended because their endpoint went out of service, or their other half was lost.
    ConnectionsLost = "connections_lost",
}

impl Counter {
    const N: usize = Self::ALL.len();
}

/// Control's counters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters([u64; Counter::N]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::N])
    }
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts one of what may come in any number: how many it makes, whenever that is worth a line in a log.
    #[must_use]
    pub fn count_seldom(&mut self, counter: Counter) -> Option<u64> {
        self.count(counter);
        Some(self.value(counter)).filter(|n| n.is_power_of_two())
    }

    /// Counts `n`.
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.0[counter as usize] += n;
    }

    /// Takes over a counter that is kept elsewhere.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.0[counter as usize] = value;
    }

    /// A counter's value.
    pub fn value(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }
}
