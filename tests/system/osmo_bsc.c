/* Does to a media gateway what osmo-bsc does, with the library that osmo-bsc does it with.
 *
 *   osmo_bsc <the gateway's address> <an address of its own>
 *
 * It resets the relays, sets up calls through relays and carries AMR-like RTP both ways through one of them,
 * hands it over to another port, loops it, and ends it; then it does the same with a timeslot of an E1 whose
 * far end loops. Every octet is compared. It prints what it has seen; the first thing that is wrong ends it
 * with exit code 1 and says what that was. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <osmocom/core/application.h>
#include <osmocom/core/fsm.h>
#include <osmocom/core/logging.h>
#include <osmocom/core/msgb.h>
#include <osmocom/core/select.h>
#include <osmocom/core/talloc.h>
#include <osmocom/core/tdef.h>
#include <osmocom/mgcp_client/mgcp_client.h>
#include <osmocom/mgcp_client/mgcp_client_endpoint_fsm.h>
#include <osmocom/mgcp_client/mgcp_client_fsm.h>

enum { RELAYS = 40, PACKETS = 50, AMR_OCTETS = 33, G711_OCTETS = 160, E1_PACKETS = 100 };

static const char *own_address;
static void *ctx;
static struct mgcp_client *client;
static struct osmo_fsm_inst *call;

static __attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list words;
	va_start(words, format);
	printf("WRONG: ");
	vprintf(format, words);
	printf("\n");
	va_end(words);
	exit(1);
}

static double now_ms(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* What the endpoint's state machine tells the call's. */
enum { DONE, REFUSED, GONE };
static int told;

static void on_event(struct osmo_fsm_inst *fi, uint32_t event, void *data)
{
	(void)fi;
	(void)data;
	told = event;
}

static const struct osmo_fsm_state states[] = {
	{ .name = "CALL", .in_event_mask = 1 << DONE | 1 << REFUSED | 1 << GONE, .action = on_event },
};
static const struct value_string events[] = { { DONE, "DONE" }, { REFUSED, "REFUSED" }, { GONE, "GONE" }, { 0, NULL } };
static struct osmo_fsm call_fsm = { .name = "CALL", .states = states, .num_states = 1, .event_names = events };
static struct osmo_tdef timers[] = { { .T = 2427001, .default_val = 5, .desc = "the gateway's answer" }, {} };

static int wait_told(void)
{
	while (told < 0)
		osmo_select_main(0);
	return told;
}

static void ask(struct osmo_mgcpc_ep_ci *ci, enum mgcp_verb verb, const struct mgcp_conn_peer *peer)
{
	told = -1;
	osmo_mgcpc_ep_ci_request(ci, verb, peer, call, DONE, REFUSED, NULL);
	if (wait_told() != DONE)
		fail("%s of %s was refused, or not answered", osmo_mgcp_verb_name(verb), osmo_mgcpc_ep_ci_name(ci));
}

static void clear(struct osmo_mgcpc_ep *ep)
{
	told = -1;
	osmo_mgcpc_ep_clear(ep);
	if (wait_told() != GONE)
		fail("an endpoint was not let go");
}

/* One command as the library writes it, and its answer as the library reads it. */
static struct mgcp_response_head answer;

static void on_answer(struct mgcp_response *response, void *data)
{
	(void)data;
	if (!response)
		fail("no answer");
	answer = response->head;
	told = DONE;
}

static void tell(struct mgcp_msg msg, int code)
{
	told = -1;
	if (mgcp_client_tx(client, mgcp_msg_gen(client, &msg), on_answer, NULL) < 0)
		fail("a command could not be sent");
	wait_told();
	if (answer.response_code != code)
		fail("%s %s: %d %s instead of %d", osmo_mgcp_verb_name(msg.verb), msg.endpoint, answer.response_code,
		     answer.comment, code);
}

/* What osmo-bsc asks now and then. Whatever was sent before has been done when it is answered. */
static void keep_alive(void)
{
	struct mgcp_msg msg = { .verb = MGCP_VERB_AUEP, .presence = MGCP_MSG_PRESENCE_ENDPOINT, .endpoint = "null@mgw" };
	tell(msg, 200);
}

/* A peer of RTP. */
struct leg {
	int socket;
	uint16_t port;
	struct sockaddr_storage gateway;
};

static void leg_open(struct leg *leg)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	socklen_t length = sizeof(own);
	inet_pton(AF_INET, own_address, &own.sin_addr);
	do {
		leg->socket = socket(AF_INET, SOCK_DGRAM, 0);
		own.sin_port = 0;
		if (bind(leg->socket, (struct sockaddr *)&own, sizeof(own)) < 0)
			fail("bind: %s", strerror(errno));
		getsockname(leg->socket, (struct sockaddr *)&own, &length);
	} while (ntohs(own.sin_port) % 2); /* Leaked if odd: there are few. */
	leg->port = ntohs(own.sin_port);
}

static void leg_towards(struct leg *leg, struct osmo_mgcpc_ep_ci *ci)
{
	if (!osmo_mgcpc_ep_ci_get_crcx_info_to_sockaddr(ci, &leg->gateway))
		fail("no RTP address came with the answer");
}

static void leg_send(struct leg *leg, const uint8_t *packet, size_t length)
{
	if (sendto(leg->socket, packet, length, 0, (struct sockaddr *)&leg->gateway, sizeof(struct sockaddr_in)) < 0)
		fail("sendto: %s", strerror(errno));
}

/* The next packet, or 0 after so many ms. */
static size_t leg_receive(struct leg *leg, uint8_t *packet, size_t size, int ms)
{
	struct pollfd wait = { .fd = leg->socket, .events = POLLIN };
	if (poll(&wait, 1, ms) <= 0)
		return 0;
	ssize_t length = recv(leg->socket, packet, size, 0);
	return length > 0 ? length : 0;
}

/* A packet whose every octet follows from its number and its stream. */
static size_t rtp(uint8_t *packet, int type, uint32_t ssrc, uint16_t number, size_t octets)
{
	uint32_t time = htonl(number * 160), source = htonl(ssrc);
	uint16_t sequence = htons(number);
	packet[0] = 0x80;
	packet[1] = type;
	memcpy(packet + 2, &sequence, 2);
	memcpy(packet + 4, &time, 4);
	memcpy(packet + 8, &source, 4);
	uint32_t seed = ssrc * 65537 + number;
	for (size_t i = 0; i < octets; i++) {
		seed = seed * 1664525 + 1013904223;
		packet[12 + i] = seed >> 24;
	}
	if (octets == AMR_OCTETS) {
		/* RFC 4867 4.4: no wish for a mode; one good frame of 12.2 kbit/s, with its last octet filled up. */
		packet[12] = 0xf0;
		packet[13] = 7 << 3 | 1 << 2;
		packet[12 + AMR_OCTETS - 1] &= 0xf0;
	}
	return 12 + octets;
}

/* Sends packets under one payload type and hears them under another, octet for octet. */
static void carry(struct leg *from, int type, struct leg *to, int other_type, uint32_t ssrc, const char *what)
{
	double slowest = 0;
	for (uint16_t number = 1; number <= PACKETS; number++) {
		uint8_t sent[256], expected[256], heard[512];
		size_t length = rtp(sent, type, ssrc, number, AMR_OCTETS);
		rtp(expected, other_type, ssrc, number, AMR_OCTETS);
		double begun = now_ms();
		leg_send(from, sent, length);
		size_t got = leg_receive(to, heard, sizeof(heard), 2000);
		double took = now_ms() - begun;
		slowest = took > slowest ? took : slowest;
		if (got != length || memcmp(heard, expected, length))
			fail("%s: packet %u: %zu octets came instead of %zu, or others than were sent", what, number, got, length);
	}
	printf("%s: %d packets, payload type %d as %d, no octet wrong; %.1f ms at most\n", what, PACKETS, type, other_type, slowest);
}

static void hears_nothing(struct leg *leg, const char *what)
{
	uint8_t heard[512];
	if (leg_receive(leg, heard, sizeof(heard), 100))
		fail("%s: a packet came", what);
	printf("%s: nothing came\n", what);
}

static struct mgcp_conn_peer amr(const struct leg *leg, unsigned int type)
{
	struct mgcp_conn_peer peer = {
		.call_id = 1234, .ptime = 20, .codecs = { CODEC_AMR_8000_1 }, .codecs_len = 1,
		.ptmap = { { .codec = CODEC_AMR_8000_1, .pt = type } }, .ptmap_len = 1,
		.x_osmo_ign = MGCP_X_OSMO_IGN_CALLID, .param_present = true,
		.param = { .amr_octet_aligned_present = true, .amr_octet_aligned = true },
	};
	if (leg) {
		snprintf(peer.addr, sizeof(peer.addr), "%s", own_address);
		peer.port = leg->port;
	}
	return peer;
}

static struct osmo_mgcpc_ep *endpoint(const char *name)
{
	struct osmo_mgcpc_ep *ep = osmo_mgcpc_ep_alloc(call, GONE, client, timers, "call", "%s", name);
	if (!ep)
		fail("no endpoint");
	return ep;
}

static void a_call_through_a_relay(void)
{
	struct leg bts, msc, stranger, target;
	leg_open(&bts), leg_open(&msc), leg_open(&stranger), leg_open(&target);
	struct osmo_mgcpc_ep *ep = endpoint(mgcp_client_rtpbridge_wildcard(client));
	struct osmo_mgcpc_ep_ci *to_bts = osmo_mgcpc_ep_ci_add(ep, "to-BTS");
	struct osmo_mgcpc_ep_ci *to_msc = osmo_mgcpc_ep_ci_add(ep, "to-MSC");
	uint8_t packet[256];

	/* The BTS's address is not known yet. */
	struct mgcp_conn_peer unknown = amr(NULL, 112);
	ask(to_bts, MGCP_VERB_CRCX, &unknown);
	leg_towards(&bts, to_bts);
	struct mgcp_conn_peer known = amr(&bts, 112);
	ask(to_bts, MGCP_VERB_MDCX, &known);
	/* The MSC has another number for AMR. */
	struct mgcp_conn_peer core = amr(&msc, 98);
	ask(to_msc, MGCP_VERB_CRCX, &core);
	leg_towards(&msc, to_msc);
	printf("relay: %s\n", osmo_mgcpc_ep_name(ep));

	carry(&bts, 112, &msc, 98, 0x1111, "BTS to MSC");
	carry(&msc, 98, &bts, 112, 0x2222, "MSC to BTS");
	/* What nobody has negotiated passes as well. */
	carry(&bts, 3, &msc, 3, 0x3333, "GSM that nobody named");
	carry(&msc, 0, &bts, 0, 0x4444, "PCMU that nobody named");

	stranger.gateway = bts.gateway;
	leg_send(&stranger, packet, rtp(packet, 112, 0x5555, 1, AMR_OCTETS));
	hears_nothing(&msc, "from a port that was not signalled");

	/* A handover: another BTS, at once and alone. */
	struct mgcp_conn_peer moved = amr(&target, 112);
	target.gateway = bts.gateway;
	ask(to_bts, MGCP_VERB_MDCX, &moved);
	carry(&target, 112, &msc, 98, 0x6666, "new BTS to MSC");
	carry(&msc, 98, &target, 112, 0x7777, "MSC to new BTS");
	leg_send(&bts, packet, rtp(packet, 112, 0x8888, 1, AMR_OCTETS));
	hears_nothing(&msc, "from the old BTS");
	hears_nothing(&bts, "to the old BTS");

	struct mgcp_conn_peer held = amr(&target, 112);
	held.conn_mode = MGCP_CONN_RECV_ONLY;
	ask(to_bts, MGCP_VERB_MDCX, &held);
	leg_send(&msc, packet, rtp(packet, 98, 0x9999, 1, AMR_OCTETS));
	hears_nothing(&target, "while recvonly");
	held.conn_mode = MGCP_CONN_LOOPBACK;
	ask(to_bts, MGCP_VERB_MDCX, &held);
	carry(&target, 112, &target, 112, 0xAAAA, "loopback");
	hears_nothing(&msc, "while the other is in loopback");
	held.conn_mode = MGCP_CONN_RECV_SEND;
	ask(to_bts, MGCP_VERB_MDCX, &held);
	carry(&target, 112, &msc, 98, 0xBBBB, "off hold");
	clear(ep);
	keep_alive();
	leg_send(&target, packet, rtp(packet, 112, 0xDDDD, 1, AMR_OCTETS));
	hears_nothing(&msc, "after DLCX");
}

static void many_calls(void)
{
	struct osmo_mgcpc_ep *eps[RELAYS];
	char names[RELAYS][64];
	double begun = now_ms();
	for (int i = 0; i < RELAYS; i++) {
		eps[i] = endpoint(mgcp_client_rtpbridge_wildcard(client));
		struct mgcp_conn_peer peer = amr(NULL, 112);
		struct osmo_mgcpc_ep_ci *ci = osmo_mgcpc_ep_ci_add(eps[i], "to-BTS");
		ask(ci, MGCP_VERB_CRCX, &peer);
		struct osmo_mgcpc_ep_ci *other = osmo_mgcpc_ep_ci_add(eps[i], "to-MSC");
		ask(other, MGCP_VERB_CRCX, &peer);
		snprintf(names[i], sizeof(names[i]), "%s", osmo_mgcpc_ep_name(eps[i]));
		for (int j = 0; j < i; j++)
			if (!strcmp(names[i], names[j]))
				fail("two calls have the relay %s", names[i]);
	}
	double took = now_ms() - begun;
	for (int i = 0; i < RELAYS; i++)
		clear(eps[i]);
	keep_alive();
	printf("many calls: %d relays at a time, %s to %s; %.1f ms a CRCX\n", RELAYS, names[0], names[RELAYS - 1],
	       took / RELAYS / 2);
}

/* A timeslot of an E1 whose far end loops: what is said comes back. Whether all of it did: a busy host can
 * hold this program up for longer than a jitter buffer waits. */
static bool a_call_on_a_trunk(void)
{
	struct leg core;
	leg_open(&core);
	struct osmo_mgcpc_ep *ep = endpoint(mgcp_client_e1_epname(ctx, client, 1, 2, 64, 0));
	struct osmo_mgcpc_ep_ci *ci = osmo_mgcpc_ep_ci_add(ep, "to-MSC");
	struct mgcp_conn_peer peer = { .call_id = 7, .ptime = 20, .codecs = { CODEC_PCMA_8000_1 }, .codecs_len = 1, .port = core.port };
	snprintf(peer.addr, sizeof(peer.addr), "%s", own_address);
	ask(ci, MGCP_VERB_CRCX, &peer);
	leg_towards(&core, ci);

	static uint8_t said[E1_PACKETS * G711_OCTETS], heard[4 * E1_PACKETS * G711_OCTETS];
	size_t n_heard = 0;
	double begun = now_ms();
	for (int sent = 0; n_heard + G711_OCTETS <= sizeof(heard) && now_ms() - begun < 20. * E1_PACKETS + 1500;) {
		uint8_t packet[256], back[512];
		if (sent < E1_PACKETS && now_ms() - begun >= 20. * sent) {
			leg_send(&core, packet, rtp(packet, 8, 0xCCCC, sent, G711_OCTETS));
			memcpy(said + G711_OCTETS * sent++, packet + 12, G711_OCTETS);
		}
		size_t length = leg_receive(&core, back, sizeof(back), 2);
		if (!length)
			continue;
		if (length != 12 + G711_OCTETS || (back[1] & 0x7f) != 8)
			fail("a packet of %zu octets, payload type %d", length, back[1] & 0x7f);
		memcpy(heard + n_heard, back + 12, G711_OCTETS);
		n_heard += G711_OCTETS;
	}
	uint8_t *at = memmem(heard, n_heard, said, 64);
	if (!at)
		fail("%zu octets came from the trunk, and not what was said", n_heard);
	size_t right = 0;
	while (right < sizeof(said) && at + right < heard + n_heard && at[right] == said[right])
		right++;
	printf("trunk %s: %zu of %zu octets came back as they were said\n", osmo_mgcpc_ep_name(ep), right, sizeof(said));
	clear(ep);
	keep_alive();
	close(core.socket);
	return right == sizeof(said);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		fail("which gateway, and which own address?");
	own_address = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	ctx = talloc_named_const(NULL, 0, "osmo_bsc");
	static const struct log_info_cat categories[] = {};
	static const struct log_info log = { .cat = categories, .num_cat = 0 };
	osmo_init_logging2(ctx, &log);
	osmo_fsm_log_addr(false);
	call_fsm.log_subsys = DLMGCP;
	if (osmo_fsm_register(&call_fsm) < 0)
		fail("no state machine");
	call = osmo_fsm_inst_alloc(&call_fsm, ctx, NULL, LOGL_DEBUG, "call");

	struct mgcp_client_conf conf;
	mgcp_client_conf_init(&conf);
	conf.remote_addr = argv[1];
	conf.local_addr = own_address;
	conf.local_port = 2728;
	client = mgcp_client_init(ctx, &conf);
	if (!client || mgcp_client_connect2(client, 0) < 0)
		fail("cannot reach the gateway");

	struct mgcp_msg reset = { .verb = MGCP_VERB_DLCX, .presence = MGCP_MSG_PRESENCE_ENDPOINT };
	snprintf(reset.endpoint, sizeof(reset.endpoint), "%s", mgcp_client_rtpbridge_wildcard(client));
	tell(reset, 250);
	printf("reset: DLCX %s\n", reset.endpoint);
	keep_alive();
	struct mgcp_msg part = { .verb = MGCP_VERB_AUEP, .presence = MGCP_MSG_PRESENCE_ENDPOINT };
	snprintf(part.endpoint, sizeof(part.endpoint), "%s", mgcp_client_e1_epname(ctx, client, 1, 2, 16, 2));
	tell(part, 500);
	printf("no endpoint: %s, %s\n", part.endpoint, answer.comment);

	a_call_through_a_relay();
	many_calls();
	for (int round = 1; !a_call_on_a_trunk(); round++)
		if (round == 3)
			fail("three times not all octets came back from the trunk");
	printf("all is well\n");
	return 0;
}
