# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one C source of the collection, for loops that run once for each packet. native.py compiles and loads it.

It is text in a Python file because that is what Ansible carries to managed hosts. Every function here does what a Python
function beside it does, to the byte, and the tests feed both the same. To add one: write it below with the prefix wf_, and
declare its types where it is called (see decap_hot.py). No function allocates, and none reads or writes outside what its
caller hands it.
"""

from __future__ import annotations

SOURCE = r"""
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <smmintrin.h>
#include <wmmintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define UNROLL(times) _Pragma(#times)
#else
#define UNROLL(times)
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static u32 big16(const u8 *p) { return (u32)p[0] << 8 | p[1]; }
static u32 big32(const u8 *p) { return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3]; }
static u32 little16(const u8 *p) { return (u32)p[1] << 8 | p[0]; }
static u32 little32(const u8 *p) { return (u32)p[3] << 24 | (u32)p[2] << 16 | (u32)p[1] << 8 | p[0]; }
static u32 get16(const u8 *p, u32 big) { return big ? big16(p) : little16(p); }
static u32 get32(const u8 *p, u32 big) { return big ? big32(p) : little32(p); }

static void put32(u8 *p, u32 v, u32 big)
{
    p[big ? 3 : 0] = (u8)v;
    p[big ? 2 : 1] = (u8)(v >> 8);
    p[big ? 1 : 2] = (u8)(v >> 16);
    p[big ? 0 : 3] = (u8)(v >> 24);
}

/* ---- layers.py: headers ------------------------------------------------------------------------------------------------ */

enum step {
    NONE, ETHERNET, VLAN, COOKED, COOKED2, RAW, IPV4, IPV6, EXTENSION, AUTHENTICATION, FRAGMENT_HEADER, GRE_FRAGMENT,
    OTHER_FRAGMENT, GRE, ERSPAN1, BRIDGED, MELLANOX, ERSPAN2, ERSPAN3, OPTION_PROTOCOL, VXLAN, BTH, UDP, TCP, GRH
};
enum stop { WHOLE, SHORT, FRAGMENT, UNKNOWN };
enum { MAX_LAYERS = 32, MAX_DEPTH = 8, MAX_STREAMS = 4096, SLOTS = 8192, LATE = 4096, MAX_RECORD = 16 << 20 };

struct layer { u64 at, size, end; enum step step; };
struct decoded { struct layer layers[MAX_LAYERS + 1]; int count; enum stop stop; enum step stopped_at; };

static enum step of_ethertype(u32 type)
{
    switch (type) {
    case 0x0800: return IPV4;
    case 0x86DD: return IPV6;
    case 0x8100: case 0x88A8: case 0x9100: case 0x9200: return VLAN;
    case 0x8915: return GRH;
    default: return NONE;
    }
}

static enum step of_ip_protocol(u32 protocol)
{
    switch (protocol) {
    case 0: case 43: case 60: return EXTENSION;
    case 4: return IPV4;
    case 6: return TCP;
    case 17: return UDP;
    case 41: return IPV6;
    case 44: return FRAGMENT_HEADER;
    case 47: return GRE;
    case 51: return AUTHENTICATION;
    case 248: return OPTION_PROTOCOL;
    default: return NONE;
    }
}

static enum step of_gre_protocol(u32 protocol)
{
    switch (protocol) {
    case 0x0800: return IPV4;
    case 0x86DD: return IPV6;
    case 0x88BE: return ERSPAN2;
    case 0x22EB: return ERSPAN3;
    case 0x6558: return BRIDGED;
    case 0x8949: return MELLANOX;
    default: return NONE;
    }
}

static int is_mirror(enum step step) { return step >= ERSPAN1 && step <= ERSPAN3; }

static int is_transport(enum step step) { return step >= UDP; }

static enum step whole(enum step follows, u32 offset, u32 more)
{
    if (!offset && (!more || is_transport(follows)))
        return follows;
    return follows == GRE ? GRE_FRAGMENT : OTHER_FRAGMENT;
}

#define NEED(bytes) do { if (at + (bytes) > size) return SHORT; } while (0)

static u64 least(u64 a, u64 b) { return a < b ? a : b; }

/* Read one header at `at` of `size` captured bytes: its length, what follows, and where its contents end. */
static enum stop read_header(const u8 *d, u64 size, u64 at, enum step step, u64 *length, enum step *follows, u64 *end)
{
    u32 a, b, c;

    switch (step) {
    case ETHERNET:
        NEED(14);
        *length = 14;
        *follows = of_ethertype(big16(d + at + 12));
        return WHOLE;
    case VLAN:
        NEED(4);
        *length = 4;
        *follows = of_ethertype(big16(d + at + 2));
        return WHOLE;
    case COOKED:
        NEED(16);
        *length = 16;
        *follows = of_ethertype(big16(d + at + 14));
        return WHOLE;
    case COOKED2:
        NEED(2);
        *length = 20;
        *follows = of_ethertype(big16(d + at));
        return WHOLE;
    case RAW:
        NEED(1);
        *length = 0;
        *follows = d[at] >> 4 == 4 ? IPV4 : d[at] >> 4 == 6 ? IPV6 : NONE;
        return WHOLE;
    case IPV4:
        NEED(8);
        a = (d[at] & 15u) * 4;
        b = big16(d + at + 2);
        c = big16(d + at + 6);
        if (d[at] >> 4 != 4 || a < 20 || (b > 0 && b < a))
            return UNKNOWN;
        NEED(10);
        *length = a;
        *follows = whole(of_ip_protocol(d[at + 9]), c & 0x1FFF, c & 0x2000);
        if (b)
            *end = least(*end, at + b);
        return WHOLE;
    case IPV6:
        NEED(1);
        if (d[at] >> 4 != 6)
            return UNKNOWN;
        NEED(7);
        a = big16(d + at + 4);
        *length = 40;
        *follows = of_ip_protocol(d[at + 6]);
        if (a)
            *end = least(*end, at + 40 + a);
        return WHOLE;
    case EXTENSION:
        NEED(2);
        *length = 8 + d[at + 1] * 8u;
        *follows = of_ip_protocol(d[at]);
        return WHOLE;
    case AUTHENTICATION:
        NEED(2);
        *length = (d[at + 1] + 2u) * 4;
        *follows = of_ip_protocol(d[at]);
        return WHOLE;
    case FRAGMENT_HEADER:
        NEED(4);
        a = big16(d + at + 2);
        *length = 8;
        *follows = whole(of_ip_protocol(d[at]), a & 0xFFF8, a & 1);
        return WHOLE;
    case GRE_FRAGMENT:
    case OTHER_FRAGMENT:
        return FRAGMENT;
    case GRE:
        NEED(4);
        a = big16(d + at);
        *length = 4;
        *follows = NONE;
        if (a & 7)
            return WHOLE;
        b = of_gre_protocol(big16(d + at + 2));
        if (b == ERSPAN2 && !(a & 0x1000))
            b = ERSPAN1;
        if (a & 0x4000)
            return is_mirror((enum step)b) ? UNKNOWN : WHOLE;
        *length = 4 + (a >> 15 << 2) + (a >> 11 & 4) + (a >> 10 & 4);
        *follows = (enum step)b;
        return WHOLE;
    case ERSPAN1:
    case BRIDGED:
        *length = 0;
        *follows = ETHERNET;
        return WHOLE;
    case MELLANOX:
        *length = 22;
        *follows = ETHERNET;
        return WHOLE;
    case ERSPAN2:
    case ERSPAN3:
        NEED(1);
        *follows = ETHERNET;
        *length = 8;
        if (d[at] >> 4 == 1)
            return WHOLE;
        if (d[at] >> 4 != 2)
            return UNKNOWN;
        NEED(12);
        a = big16(d + at + 10);
        if (a >> 10 & 31)
            return UNKNOWN;
        *length = a & 1 ? 20 : 12;
        return WHOLE;
    case OPTION_PROTOCOL:
        NEED(4);
        *length = big16(d + at + 2);
        *follows = of_ip_protocol(d[at + 1]);
        return *length < 4 ? UNKNOWN : WHOLE;
    case VXLAN:
        NEED(1);
        *length = 8;
        *follows = d[at] & 8 ? ETHERNET : NONE;
        return WHOLE;
    case BTH:
        *length = 12;
        return WHOLE;
    case UDP:
        NEED(6);
        a = big16(d + at + 2);
        b = big16(d + at + 4);
        *length = 8;
        *follows = a == 4789 ? VXLAN : a == 4791 ? BTH : NONE;
        if (b >= 8)
            *end = least(*end, at + b);
        return WHOLE;
    case TCP:
        NEED(13);
        *length = d[at + 12] >> 4 << 2;
        return *length < 20 ? UNKNOWN : WHOLE;
    case GRH:
        NEED(7);
        *length = 40;
        *follows = d[at + 6] == 0x1B ? BTH : NONE;
        *end = least(*end, at + 40 + big16(d + at + 4));
        return WHOLE;
    default:
        return UNKNOWN;
    }
}

static void decode(const u8 *d, u64 size, u64 wire, enum step step, int transports, struct decoded *found)
{
    u64 at = 0, end = wire > size ? wire : size;

    found->count = 0;
    while (step != NONE && (transports || !is_transport(step)) && found->count < MAX_LAYERS) {
        u64 length = 0;
        enum step follows = NONE;
        enum stop stop = read_header(d, size, at, step, &length, &follows, &end);
        struct layer *layer = &found->layers[found->count];

        if (stop == WHOLE && (at + length > size || at + length > end))
            stop = SHORT;
        found->stop = stop;
        found->stopped_at = step;
        if (stop != WHOLE)
            return;
        layer->at = at;
        layer->size = length;
        layer->end = end;
        layer->step = step;
        found->count++;
        at += length;
        step = follows;
    }
    found->stop = WHOLE;
    found->stopped_at = NONE;
}

/* ---- mirrors.py: streams, and rows of the side table --------------------------------------------------------------- */

struct stream_id { u8 source[16], target[16], address_size, type, depth, has; u32 session, key; };
struct stream { struct stream_id id; u32 first, next, numbered; u64 packets, bytes, skipped, gaps, late, restarts; };

/* Changed together with Request in decap_hot.py; wf_decap_size() tells whether they agree. */
struct request {
    const u8 *in;
    u8 *out, *rest, *side;
    const u8 *links;
    struct stream *streams;
    u16 *slots;
    u64 in_size, side_size;
    u64 in_used, out_used, rest_used, side_used;
    u64 packets, frames, others, shorts, fragments, unknowns, left_out;
    u32 link_count, stream_count, last_stream, format, big, depth, want_rest, want_side, why;
};
enum { PCAP, PCAPNG };
enum { MORE, FLUSH, BLOCK, BAD_RECORD, BAD_BLOCK, BAD_LENGTHS, BAD_PACKET, NO_INTERFACE };
enum { HAS_SESSION = 1, HAS_KEY = 2 };
enum { SIDE_ROW = 256 };

u64 wf_decap_size(void) { return (u64)sizeof(struct request) << 32 | sizeof(struct stream); }

static void count(struct stream *s, u64 wire, int numbered, u32 sequence)
{
    u32 ahead;

    s->packets++;
    s->bytes += wire;
    if (!numbered)
        return;
    if (!s->numbered) {
        s->numbered = 1;
        s->first = s->next = sequence;
    }
    ahead = sequence - s->next;
    if (ahead > 0x7FFFFFFF && 0u - ahead <= LATE) {
        s->late++;
        return;
    }
    if (ahead > 0x7FFFFFFF) {
        s->restarts++;
    } else if (ahead) {
        s->gaps++;
        s->skipped += ahead;
    }
    s->next = sequence + 1;
}

static u32 hash(const struct stream_id *id)
{
    const u8 *p = (const u8 *)id;
    u32 value = 2166136261u, word;
    size_t at;

    for (at = 0; at + 4 <= sizeof *id; at += 4) {
        memcpy(&word, p + at, 4);
        value = (value ^ word) * 16777619u;
        value ^= value >> 15;
    }
    return value;
}

/* Return the number of the stream, MAX_STREAMS where there are too many. */
static u32 find_stream(struct request *r, const struct stream_id *id)
{
    u32 slot;

    if (r->last_stream < r->stream_count && !memcmp(&r->streams[r->last_stream].id, id, sizeof *id))
        return r->last_stream;
    for (slot = hash(id) % SLOTS; r->slots[slot]; slot = (slot + 1) % SLOTS)
        if (!memcmp(&r->streams[r->slots[slot] - 1].id, id, sizeof *id))
            return r->last_stream = r->slots[slot] - 1u;
    if (r->stream_count == MAX_STREAMS)
        return MAX_STREAMS;
    memset(&r->streams[r->stream_count], 0, sizeof *r->streams);
    r->streams[r->stream_count].id = *id;
    r->slots[slot] = (u16)(r->stream_count + 1);
    return r->last_stream = r->stream_count++;
}

static const char pairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static u8 *number(u8 *to, u64 value)
{
    u8 digits[20];
    int at = 20;

    while (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value || at == 20)
        digits[--at] = (u8)('0' + value);
    memcpy(to, digits + at, (size_t)(20 - at));
    return to + (20 - at);
}

struct words { char text[16]; size_t size; };
#define WORDS(text) {text, sizeof(text) - 1}

/* Writes 16 bytes whatever the size: a row has room for more than it needs. */
static u8 *text(u8 *to, const struct words *words)
{
    memcpy(to, words->text, sizeof words->text);
    return to + words->size;
}

static u8 *cell(u8 *to, u64 value)
{
    to = number(to, value);
    *to++ = ',';
    return to;
}

static u8 *erspan_cells(u8 *to, const u8 *h, int three)
{
    static const struct words units[] = {WORDS("100us,"), WORDS("100ns,"), WORDS("ieee1588,"), WORDS("user,")};
    static const struct words sides[] = {WORDS("ingress,,"), WORDS("egress,,")}, nothing = WORDS(",,,");
    u32 word = big32(h), tail = three ? big32(h + 8) : 0;

    to = cell(to, word & 0x3FF);
    to = cell(to, word >> 16 & 0xFFF);
    to = cell(to, word >> 13 & 7);
    if (three)
        *to++ = ',';
    to = cell(to, word >> 11 & 3);
    if (!three)
        *to++ = ',';
    to = cell(to, word >> 10 & 1);
    if (!three) {
        *to++ = ',';
        to = cell(to, big32(h + 4) & 0xFFFFF);
        return text(to, &nothing);
    }
    to = text(to, &sides[tail >> 3 & 1]);
    to = cell(to, big32(h + 4));
    to = text(to, &units[tail >> 1 & 3]);
    return cell(to, tail >> 16);
}

static const u8 *ends(const u8 *d, const struct layer *layer, struct stream_id *id)
{
    const u8 *at;

    while (layer->step != IPV4 && layer->step != IPV6)
        layer--;
    id->address_size = layer->step == IPV4 ? 4 : 16;
    at = d + layer->at + (layer->step == IPV4 ? 12 : 8);
    memcpy(id->source, at, id->address_size);
    memcpy(id->target, at + id->address_size, id->address_size);
    return at;
}

/* Account for the mirror header at `layer` and write its row. */
static void mirror(struct request *r, const u8 *d, const struct layer *layer, u32 depth, u64 wire)
{
    static const struct words names[] = {WORDS("erspan1,"), WORDS("bridged,"), WORDS("mellanox,"), WORDS("erspan2,"), WORDS("erspan3,")};
    static const struct words nothing = WORDS(",,,,,,,,,,,");
    static const char hex[] = "0123456789abcdef";
    const u8 *gre = d + layer[-1].at, *h = d + layer->at;
    u32 flags = big16(gre), sequence = 0, stream, at;
    int has_header = layer->step >= ERSPAN2, three = has_header && layer->size > 8;
    struct stream_id id;
    u8 *to;

    memset(&id, 0, sizeof id);
    ends(d, layer - 1, &id);
    id.depth = (u8)depth;
    id.type = (u8)(!has_header ? layer->step - ERSPAN1 : three ? 4 : 3);
    gre += flags & 0x8000 ? 8 : 4;
    if (flags & 0x2000) {
        id.has |= HAS_KEY;
        id.key = big32(gre);
        gre += 4;
    }
    if (flags & 0x1000)
        sequence = big32(gre);
    if (has_header) {
        id.has |= HAS_SESSION;
        id.session = big32(h) & 0x3FF;
    }
    stream = find_stream(r, &id);
    if (stream < MAX_STREAMS)
        count(&r->streams[stream], wire, !!(flags & 0x1000), sequence);
    else
        r->left_out++;
    if (!r->want_side)
        return;
    to = r->side + r->side_used;
    to = cell(to, r->packets);
    to = cell(to, r->frames);
    to = cell(to, depth);
    if (stream < MAX_STREAMS)
        to = number(to, stream);
    *to++ = ',';
    to = text(to, &names[id.type]);
    to = has_header ? erspan_cells(to, h, three) : text(to, &nothing);
    if (flags & 0x1000)
        to = number(to, sequence);
    *to++ = ',';
    if (flags & 0x2000)
        to = number(to, id.key);
    *to++ = ',';
    for (at = 12; three && at < layer->size; at++) {
        *to++ = (u8)hex[h[at] >> 4];
        *to++ = (u8)hex[h[at] & 15];
    }
    *to++ = '\n';
    r->side_used = (u64)(to - r->side);
}

/* ---- decap.py: the loop over packets ------------------------------------------------------------------------------- */

/* Where the innermost mirrored frame lies: 1 where there is one, with its rows written; else the packet is counted. */
static int find(struct request *r, const u8 *d, u64 size, u64 wire, u8 link, u64 *start, u64 *stop, u64 *length)
{
    struct decoded found;
    const struct layer *mirrors[MAX_DEPTH], *last;
    u32 n = 0, depth;
    int place;

    r->packets++;
    found.count = 0;
    found.stop = WHOLE;
    found.stopped_at = NONE;
    if (link)
        decode(d, size, wire, (enum step)link, 0, &found);
    for (place = 0; place < found.count && n < r->depth; place++)
        if (is_mirror(found.layers[place].step))
            mirrors[n++] = &found.layers[place];
    if (!n) {
        enum stop why = is_mirror(found.stopped_at) || found.stopped_at == GRE || found.stopped_at == GRE_FRAGMENT ? found.stop : WHOLE;

        r->others += why == WHOLE;
        r->shorts += why == SHORT;
        r->fragments += why == FRAGMENT;
        r->unknowns += why == UNKNOWN;
        return 0;
    }
    last = mirrors[n - 1];
    *start = last->at + last->size;
    *stop = least(size, last->end);
    *stop = *stop < *start ? *start : *stop;
    *length = last->end - *start;
    r->frames++;
    for (depth = 0; depth < n; depth++)
        mirror(r, d, mirrors[depth], depth, *length);
    return 1;
}

static void keep(struct request *r, const u8 *from, u64 size)
{
    if (!r->want_rest)
        return;
    memcpy(r->rest + r->rest_used, from, size);
    r->rest_used += size;
}

static u32 pcap_record(struct request *r, const u8 *p, u64 left, u64 *used)
{
    u64 size, start, stop, wire;
    u8 *to = r->out + r->out_used;

    if (left < 16)
        return MORE;
    size = get32(p + 8, r->big);
    if (size > MAX_RECORD)
        return BAD_RECORD;
    if (left < 16 + size)
        return MORE;
    *used = 16 + size;
    if (!find(r, p + 16, size, get32(p + 12, r->big), r->links[0], &start, &stop, &wire)) {
        keep(r, p, *used);
        return FLUSH;
    }
    memcpy(to, p, 8);
    put32(to + 8, (u32)(stop - start), r->big);
    put32(to + 12, (u32)wire, r->big);
    memcpy(to + 16, p + 16 + start, stop - start);
    r->out_used += 16 + stop - start;
    return FLUSH;
}

/* Copy options but the hash of a packet that is no longer the same; return how many bytes. */
static u64 options(u8 *to, const u8 *from, u64 size, u32 big)
{
    u64 at = 0, done = 0;

    while (at + 4 <= size) {
        u32 code = get16(from + at, big);
        u64 length = 4 + ((get16(from + at + 2, big) + 3u) & ~3u);

        if (at + length > size)
            break;
        if (code != 3) {
            memcpy(to + done, from + at, length);
            done += length;
        }
        at += length;
        if (!code)
            break;
    }
    return done;
}

/* FLUSH where a whole block with a packet is there, which is *used bytes long. */
static u32 packet_block(const u8 *p, u64 left, u32 big, u64 *used)
{
    u64 total;
    u32 kind;

    if (left < 12)
        return MORE;
    kind = get32(p, big);
    if (kind != 2 && kind != 3 && kind != 6)
        return BLOCK;
    total = get32(p + 4, big);
    if (total < 12 || total % 4 || total > MAX_RECORD)
        return BAD_BLOCK;
    if (left < total)
        return MORE;
    if (get32(p + total - 4, big) != total)
        return BAD_LENGTHS;
    *used = total;
    return FLUSH;
}

static u32 pcapng_block(struct request *r, const u8 *p, u64 left, u64 *used)
{
    u64 total, size, start, stop, wire, padded, length;
    u32 found, kind, interface;
    u8 *to = r->out + r->out_used;

    found = packet_block(p, left, r->big, used);
    if (found != FLUSH)
        return found;
    kind = get32(p, r->big);
    total = *used;
    if (kind == 3) {
        r->packets++;
        r->unknowns++;
        keep(r, p, total);
        return FLUSH;
    }
    if (total < 32)
        return BAD_PACKET;
    interface = kind == 6 ? get32(p + 8, r->big) : get16(p + 8, r->big);
    if (interface >= r->link_count)
        return NO_INTERFACE;
    size = get32(p + 20, r->big);
    if (size > total - 32)
        return BAD_PACKET;
    if (!find(r, p + 28, size, get32(p + 24, r->big), r->links[interface], &start, &stop, &wire)) {
        keep(r, p, total);
        return FLUSH;
    }
    padded = (stop - start + 3) & ~(u64)3;
    memcpy(to, p, 28);
    memset(to + 28 + padded - (padded ? 4 : 0), 0, padded ? 4 : 0);
    memcpy(to + 28, p + 28 + start, stop - start);
    length = (size + 3) & ~(u64)3;
    length = 28 + padded + options(to + 28 + padded, p + 28 + length, total - 32 - length, r->big);
    put32(to + 4, (u32)length + 4, r->big);
    put32(to + 20, (u32)(stop - start), r->big);
    put32(to + 24, (u32)wire, r->big);
    put32(to + length, (u32)length + 4, r->big);
    r->out_used += length + 4;
    return FLUSH;
}

/* Go through packets until one is not all there, the side table is full, or something else comes: r->why says which. */
void wf_decap(struct request *r)
{
    r->in_used = r->out_used = r->rest_used = r->side_used = 0;
    for (;;) {
        u64 used = 0;
        const u8 *p = r->in + r->in_used;

        if (r->side_size - r->side_used < (u64)MAX_DEPTH * SIDE_ROW) {
            r->why = FLUSH;
            return;
        }
        r->why = r->format == PCAP ? pcap_record(r, p, r->in_size - r->in_used, &used)
                                   : pcapng_block(r, p, r->in_size - r->in_used, &used);
        if (r->why != FLUSH)
            return;
        r->in_used += used;
    }
}

/* ---- CRC-32, 16 bytes at a time ------------------------------------------------------------------------------------------ */

enum { TABLES = 16 };

/* Fill what the functions below read: TABLES tables of 256 words. */
void wf_crc_tables(u32 *tables)
{
    u32 at, bit, value;

    for (at = 0; at < 256; at++) {
        for (value = at, bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (0xEDB88320u & (0u - (value & 1)));
        tables[at] = value;
    }
    for (at = 256; at < 256 * TABLES; at++)
        tables[at] = tables[at - 256] >> 8 ^ tables[tables[at - 256] & 255];
}

#if defined(__x86_64__) && defined(__GNUC__)
/* By multiplication without carries, as in V. Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, Intel 2009;
   the constants are its own for this polynomial. `size` is a multiple of 16 and not 0. */
#define LOAD(at) _mm_loadu_si128((const __m128i *)(at))
#define FOLD(x, by, next) \
    _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), next), _mm_clmulepi64_si128(x, by, 0x11))
__attribute__((target("pclmul,sse4.1")))
static u32 folded(u32 value, const u8 *p, u64 size)
{
    const __m128i by4 = _mm_set_epi64x(0x01C6E41596, 0x0154442BD4), by1 = _mm_set_epi64x(0x00CCAA009E, 0x01751997D0);
    const __m128i by_half = _mm_set_epi64x(0, 0x0163CD6124), barrett = _mm_set_epi64x(0x01F7011641, 0x01DB710641);
    const __m128i low = _mm_setr_epi32(~0, 0, ~0, 0);
    __m128i x = _mm_xor_si128(LOAD(p), _mm_cvtsi32_si128((int)value)), b, c, d;

    if (size >= 64) {
        b = LOAD(p + 16);
        c = LOAD(p + 32);
        d = LOAD(p + 48);
        for (p += 64, size -= 64; size >= 64; p += 64, size -= 64) {
            x = FOLD(x, by4, LOAD(p));
            b = FOLD(b, by4, LOAD(p + 16));
            c = FOLD(c, by4, LOAD(p + 32));
            d = FOLD(d, by4, LOAD(p + 48));
        }
        x = FOLD(x, by1, b);
        x = FOLD(x, by1, c);
        x = FOLD(x, by1, d);
    } else {
        p += 16;
        size -= 16;
    }
    for (; size; p += 16, size -= 16)
        x = FOLD(x, by1, LOAD(p));
    x = _mm_xor_si128(_mm_srli_si128(x, 8), _mm_clmulepi64_si128(x, by1, 0x10));
    x = _mm_xor_si128(_mm_srli_si128(x, 4), _mm_clmulepi64_si128(_mm_and_si128(x, low), by_half, 0x00));
    b = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(x, low), barrett, 0x10), low);
    return (u32)_mm_extract_epi32(_mm_xor_si128(x, _mm_clmulepi64_si128(b, barrett, 0x00)), 1);
}

static u64 foldable(u64 size) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1") ? size & ~(u64)15 : 0; }
#else
static u32 folded(u32 value, const u8 *p, u64 size) { return (void)p, (void)size, value; }
static u64 foldable(u64 size) { return (void)size, 0; }
#endif

/* As zlib's crc32(), but without the inversions before and after. */
static u32 crc(const u32 *t, u32 value, const u8 *p, u64 size)
{
    u64 fast = foldable(size);

    if (fast)
        value = folded(value, p, fast);
    p += fast;
    for (size -= fast; size >= 16; size -= 16, p += 16) {
        value ^= little32(p);
        value = t[15 * 256 + (value & 255)] ^ t[14 * 256 + (value >> 8 & 255)] ^ t[13 * 256 + (value >> 16 & 255)]
              ^ t[12 * 256 + (value >> 24)] ^ t[11 * 256 + p[4]] ^ t[10 * 256 + p[5]] ^ t[9 * 256 + p[6]] ^ t[8 * 256 + p[7]]
              ^ t[7 * 256 + p[8]] ^ t[6 * 256 + p[9]] ^ t[5 * 256 + p[10]] ^ t[4 * 256 + p[11]] ^ t[3 * 256 + p[12]]
              ^ t[2 * 256 + p[13]] ^ t[1 * 256 + p[14]] ^ t[p[15]];
    }
    for (; size >= 4; size -= 4, p += 4) {
        value ^= little32(p);
        value = t[3 * 256 + (value & 255)] ^ t[2 * 256 + (value >> 8 & 255)] ^ t[256 + (value >> 16 & 255)] ^ t[value >> 24];
    }
    while (size--)
        value = value >> 8 ^ t[(value ^ *p++) & 255];
    return value;
}

static u32 crc32(const u32 *tables, const u8 *p, u64 size) { return ~crc(tables, 0xFFFFFFFFu, p, size); }

/* ---- index.py: the row of a packet ----------------------------------------------------------------------------------------- */

enum {
    F_IP = 1, F_IPV6 = 2, F_VLAN = 4, F_PORTS = 8, F_TCP = 16, F_ROCE1 = 32, F_ROCE2 = 64, F_AETH = 128, F_RETH = 256, F_DETH = 512,
    F_ACK_REQUEST = 1024, F_BECN = 2048, F_FECN = 4096, F_ICRC = 8192, F_ICRC_VALID = 16384, F_FRAGMENT = 32768, F_SHORT = 65536,
    F_OUTER = 1 << 17, F_MIRROR = 1 << 18, F_IDENTIFIED = 1 << 19, F_CONTENT = 1 << 20, FLAG_COUNT = 21
};
enum { COVERED = 32, CONTENT = 24, MAD = 256, MANAGEMENT = 1, TCP_ADDRESS, IP_ADDRESS };
enum { NO_EXTENSION = 255 };

/* keys.py's row; without holes, and little-endian as the machine must be. */
struct row {
    u64 t_ns, fingerprint;
    u8 src[16], dst[16], outer_src[16], outer_dst[16];
    u32 number, occurrence, captured, wire, flags, seq, ack, dest_qp, src_qp, psn, msn, dma_length, content;
    u16 sport, dport, payload, vlan, mirror, ip_id;
    u8 dscp, ecn, ttl, protocol, tcp_flags, opcode, syndrome, direction;
};
struct note { u64 at; u32 size, row, kind, unused; };
struct clock { u64 offset, divisor; };

/* Changed together with IndexRequest in index_hot.py; wf_index_size() tells whether they agree. */
struct index_request {
    const u8 *in;
    struct row *out;
    struct note *notes;
    const u8 *links, *extensions;
    const struct clock *clocks;
    const u32 *snaplens, *tables;
    u64 in_size, out_size, note_size;
    u64 in_used, rows, note_count;
    u64 packets, foreign, captured, wire, disorder;
    u64 counts[FLAG_COUNT];
    int64_t first, last, previous;
    u32 link_count, format, big, why;
};

u64 wf_index_size(void) { return (u64)sizeof(struct index_request) << 32 | sizeof(struct row) << 16 | sizeof(struct note); }

struct headers {
    const struct layer *outer, *ip, *pieces, *transport, *bth;
    u64 base, frame_end, behind, inside, end, own_end, ip_own_end, hidden, hidden_end;
    u32 protocol, vlan, session, has_vlan, has_session;
};

/* A frame begins within a tunnel or a mirror: what was found until now is around it. */
static void begin_frame(struct headers *h, const u8 *d, const struct layer *layer)
{
    if (layer->step == VXLAN && !(d[layer->at] & 8))
        return;
    if (!h->outer)
        h->outer = h->ip;
    h->ip = h->pieces = h->transport = h->bth = 0;
    h->hidden = h->hidden_end = h->behind = h->own_end = 0;
    h->protocol = h->has_vlan = 0;
    if (layer->step != VXLAN) {
        h->base = layer->at + layer->size;
        h->frame_end = layer->end;
    }
    if (layer->step >= ERSPAN2 && layer->step <= ERSPAN3) {
        h->has_session = 1;
        h->session = big16(d + layer->at + 2) & 0x3FF;
    }
}

static void read_layer(struct headers *h, const u8 *d, const struct layer *layer)
{
    u64 at = layer->at, own;

    h->inside = at + layer->size;
    h->end = layer->end;
    switch (layer->step) {
    case IPV4: case IPV6: case GRH:
        if (!h->outer)
            h->outer = h->ip;
        h->ip = layer;
        h->behind = h->inside;
        h->pieces = 0;
        h->protocol = d[at + (layer->step == IPV4 ? 9 : 6)];
        h->hidden = layer->step == IPV4 && layer->size > 20 ? at + 20 : 0;
        h->hidden_end = h->inside;
        own = big16(d + at + (layer->step == IPV4 ? 2 : 4));
        if (layer->step != IPV4)
            own += own || layer->step == GRH ? 40 : 0;
        h->ip_own_end = h->own_end = own ? at + own : layer->end;
        return;
    case EXTENSION: case AUTHENTICATION: case FRAGMENT_HEADER: case OPTION_PROTOCOL:
        h->behind = h->inside;
        h->protocol = d[at + (layer->step == OPTION_PROTOCOL)];
        if (layer->step == FRAGMENT_HEADER)
            h->pieces = layer;
        if (layer->step == OPTION_PROTOCOL) {
            h->hidden = at + 4;
            h->hidden_end = h->inside;
        }
        return;
    case UDP: case TCP:
        h->transport = layer;
        own = big16(d + at + 4);
        if (layer->step == UDP && own >= 8)
            h->own_end = least(h->own_end, at + own);
        return;
    case BTH:
        h->bth = layer;
        return;
    case VLAN:
        if (!h->has_vlan)
            h->vlan = big16(d + at) & 0xFFF;
        h->has_vlan = 1;
        return;
    case VXLAN: case ERSPAN1: case ERSPAN2: case ERSPAN3: case BRIDGED: case MELLANOX:
        begin_frame(h, d, layer);
        return;
    default:
        return;
    }
}

/* Find everything; `found` must have room for one layer more than decode() fills. */
static u32 find_headers(const u8 *d, u64 size, u64 wire, u8 link, struct decoded *found, struct headers *h)
{
    int place;

    memset(h, 0, sizeof *h);
    h->end = h->frame_end = size > wire ? size : wire;
    found->count = 0;
    found->stop = WHOLE;
    found->stopped_at = NONE;
    if (link)
        decode(d, size, wire, (enum step)link, 1, found);
    for (place = 0; place < found->count; place++)
        read_layer(h, d, &found->layers[place]);
    if (found->stop == SHORT && found->stopped_at == TCP && h->inside + 20 <= least(size, h->end)) {
        struct layer *layer = &found->layers[found->count];

        layer->at = h->inside;
        layer->size = d[layer->at + 12] >> 4 << 2;
        layer->end = h->end;
        layer->step = TCP;
        h->transport = layer;
        h->inside += layer->size;
    }
    return found->stop == SHORT ? F_SHORT : found->stop == FRAGMENT ? F_FRAGMENT : 0;
}

static void put_addresses(u8 *source, u8 *target, const u8 *d, const struct layer *ip)
{
    if (ip->step != IPV4) {
        memcpy(source, d + ip->at + 8, 16);
        memcpy(target, d + ip->at + 24, 16);
        return;
    }
    source[10] = source[11] = target[10] = target[11] = 0xFF;
    memcpy(source + 12, d + ip->at + 12, 4);
    memcpy(target + 12, d + ip->at + 16, 4);
}

static void put_ip(struct row *row, const u8 *d, const struct headers *h)
{
    const u8 *p = d + h->ip->at;
    u32 class = h->ip->step == IPV4 ? p[1] : (p[0] & 15u) << 4 | p[1] >> 4;

    put_addresses(row->src, row->dst, d, h->ip);
    row->flags |= F_IP | (h->ip->step == IPV4 ? 0 : F_IPV6);
    if (h->pieces && big16(d + h->pieces->at + 2) & 0xFFF9)
        row->flags |= F_FRAGMENT;
    if (h->ip->step == IPV4 && big16(p + 6) & 0x3FFF)
        row->flags |= F_FRAGMENT;
    row->ip_id = (u16)(h->ip->step == IPV4 ? big16(p + 4) : 0);
    row->dscp = (u8)(class >> 2);
    row->ecn = class & 3;
    row->ttl = p[h->ip->step == IPV4 ? 8 : 7];
    row->protocol = (u8)h->protocol;
}

/* Whether the ICRC can be computed: the packet is known to be whole and in one piece. */
static int is_protected(const u8 *d, u64 size, const struct headers *h)
{
    const u8 *p = d + h->ip->at;
    u64 bth = h->bth->at;

    if (h->ip_own_end > size || h->ip_own_end != h->end || h->end < bth + 16 || h->pieces)
        return 0;
    if (h->ip->step == GRH)
        return p[0] >> 4 == 6 && bth == h->ip->at + 40;
    if (h->ip->step == IPV4)
        return big16(p + 2) && !(big16(p + 6) & 0x3FFF) && bth == h->ip->at + (p[0] & 15u) * 4 + 8;
    return big16(p + 4) && p[6] == 17 && bth == h->ip->at + 48;
}

/* CRC-32 begins as if its first 4 bytes were inverted, and zeros before them change nothing: so that whole steps of 16 bytes come out,
   headers are laid behind zeros. Of the 8 bytes of ones that the ICRC begins with, 4 are then left. */
static u64 sixteens(u64 size) { return (size + 15) & ~(u64)15; }

static int icrc_holds(const struct index_request *r, const u8 *d, const struct headers *h)
{
    u8 masked[96] = {0}, *p;
    u64 at = h->ip->at, head = h->bth->at + 12 - at, size = sixteens(4 + head);
    u32 value;

    p = masked + sizeof masked - head;
    memset(p - 4, 0xFF, 4);
    memcpy(p, d + at, head);
    if (h->ip->step == IPV4) {
        p[1] = p[8] = p[10] = p[11] = 0xFF;
    } else {
        p[0] |= 15;
        p[1] = p[2] = p[3] = p[7] = 0xFF;
    }
    if (h->ip->step != GRH)
        p[head - 14] = p[head - 13] = 0xFF;
    p[head - 8] = 0xFF;
    value = crc(r->tables, 0, masked + sizeof masked - size, size);
    value = ~crc(r->tables, value, d + at + head, h->end - 4 - at - head);
    return value == little32(d + h->end - 4);
}

/* Fill in what BTH and the headers behind it say; return how many bytes the latter have. */
static u64 put_rdma(const struct index_request *r, struct row *row, const u8 *d, u64 size, const struct headers *h)
{
    const u8 *p = d + h->bth->at, *extension = r->extensions + p[0] * 4u;
    u32 qp = big32(p + 4), psn = big32(p + 8);

    row->opcode = p[0];
    row->dest_qp = qp & 0xFFFFFF;
    row->psn = psn & 0xFFFFFF;
    row->flags |= (h->transport ? F_ROCE2 : F_ROCE1) | (qp >> 31 ? F_FECN : 0) | (qp >> 30 & 1 ? F_BECN : 0) | (psn >> 31 ? F_ACK_REQUEST : 0);
    if (h->bth->at + 12 + extension[0] > least(size, h->end)) {
        row->flags |= F_SHORT;
    } else if (extension[0]) {
        if (extension[1] != NO_EXTENSION) {
            row->flags |= F_AETH;
            row->syndrome = p[12 + extension[1]];
            row->msn = big32(p + 12 + extension[1]) & 0xFFFFFF;
        }
        if (extension[2] != NO_EXTENSION) {
            row->flags |= F_RETH;
            row->dma_length = big32(p + 12 + extension[2] + 12);
        }
        if (extension[3] != NO_EXTENSION) {
            row->flags |= F_DETH;
            row->src_qp = big32(p + 12 + extension[3] + 4) & 0xFFFFFF;
        }
    }
    if (is_protected(d, size, h))
        row->flags |= F_ICRC | (icrc_holds(r, d, h) ? F_ICRC_VALID : 0);
    return extension[0];
}

static u64 mirrored(u64 v)
{
    v = (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
    v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
    v = (v >> 4 & 0x0F0F0F0F0F0F0F0Fu) | (v & 0x0F0F0F0F0F0F0F0Fu) << 4;
    v = (v >> 8 & 0x00FF00FF00FF00FFu) | (v & 0x00FF00FF00FF00FFu) << 8;
    v = (v >> 16 & 0x0000FFFF0000FFFFu) | (v & 0x0000FFFF0000FFFFu) << 16;
    return v >> 32 | v << 32;
}

enum { STAYS = 80 };

/* Of the last `size` of STAYS bytes, a multiple of 4; there are zeros before them and, for 8 bytes, behind them. */
static u64 checksum(const u32 *tables, u8 *covered, u64 size)
{
    u8 turned[STAYS] = {0};
    u64 at, word, from = STAYS - size, begin = STAYS - sixteens(size);

    for (at = 0; at < size; at += 8) {
        memcpy(&word, covered + from + at, 8);
        word = mirrored(word);
        memcpy(turned + STAYS - 8 - at, &word, 8);
    }
    for (at = from; at < from + 4; at++) {
        covered[at] ^= 0xFF;
        turned[at] ^= 0xFF;
    }
    return (u64)~crc(tables, 0, covered + begin, STAYS - begin) << 32 | (u32)~crc(tables, 0, turned + begin, STAYS - begin);
}

static int is_distinct(const u8 *d, const struct headers *h, const struct row *row, u64 payload, u64 covered)
{
    if (row->ip_id || h->pieces)
        return 1;
    if (h->bth)
        return row->opcode != 0x81;
    if (row->flags & F_TCP)
        return payload || row->tcp_flags & 7 || d[h->transport->at + 12] >> 4 >= 8;
    return covered >= 16;
}

static void put_fingerprint(const struct index_request *r, struct row *row, const u8 *d, u64 captured, const struct headers *h, u64 payload)
{
    u8 stays[STAYS + 8] = {0}, *p;
    u64 head, size, wanted, have;

    if (!h->ip) {
        p = stays + STAYS - COVERED;
        wanted = least(captured, least(h->inside + COVERED, h->end));
        if (wanted > h->inside)
            memcpy(p, d + h->inside, wanted - h->inside);
        row->fingerprint = checksum(r->tables, stays, COVERED);
        return;
    }
    head = h->ip->step == IPV4 ? 20 : 40;
    size = head + COVERED + (h->pieces ? 8 : 0);
    p = stays + STAYS - size;
    memcpy(p, d + h->ip->at, head);
    if (h->ip->step == IPV4) {
        p[1] = p[8] = p[10] = p[11] = 0;
        p[6] &= 0x3F;
    } else {
        p[0] &= 0xF0;
        p[1] = p[2] = p[3] = p[7] = 0;
    }
    p += head;
    wanted = least(COVERED, h->ip_own_end - h->behind);
    have = least(captured, h->end);
    have = have > h->behind ? least(wanted, have - h->behind) : 0;
    memcpy(p, d + h->behind, have);
    if (row->flags & F_TCP)
        p[16] = p[17] = 0;
    else if (h->transport)
        p[6] = p[7] = 0;
    if (h->bth)
        p[h->transport ? 12 : 4] = 0;
    if (h->pieces)
        memcpy(p + COVERED, d + h->pieces->at, 8);
    row->fingerprint = checksum(r->tables, stays, size);
    if (have == wanted && (!(row->flags & F_SHORT) || h->transport || h->bth) && is_distinct(d, h, row, payload, wanted))
        row->flags |= F_IDENTIFIED;
}

static void put_note(struct index_request *r, u32 kind, u64 at, u64 end)
{
    struct note *note = &r->notes[r->note_count++];

    note->at = at;
    note->size = (u32)(end > at ? end - at : 0);
    note->row = (u32)r->rows;
    note->kind = kind;
}

static void take_notes(struct index_request *r, const u8 *d, u64 size, const struct headers *h, const struct row *row)
{
    u64 base = (u64)(d - r->in), end = least(size, h->end), at;

    if (h->bth) {
        at = h->bth->at + 20;
        if (row->dest_qp == 1 && row->opcode == 0x64)
            put_note(r, MANAGEMENT, base + at, base + least(at + MAD, end));
        return;
    }
    if (row->flags & F_TCP) {
        at = h->transport->at + 20;
        end = least(h->inside, end);
        if (end > at && memchr(d + at, 254, end - at)) {
            put_note(r, TCP_ADDRESS, base + at, base + end);
            return;
        }
    }
    if (h->hidden)
        put_note(r, IP_ADDRESS, base + h->hidden, base + h->hidden_end);
}

static u8 direction_of(const u8 *d, u64 size, u8 link)
{
    if (link == COOKED && size >= 16)
        return !d[0] && d[1] == 4 ? 2 : 1;
    if (link == COOKED2 && size >= 20)
        return d[10] == 4 ? 2 : 1;
    return 0;
}

static void fill_row(struct index_request *r, struct row *row, const u8 *d, u64 size, u64 wire, u8 link)
{
    struct decoded found;
    struct headers h;
    u64 payload = 0, start, stop;

    row->flags = find_headers(d, size, wire, link, &found, &h);
    stop = least(size, h.frame_end);
    row->captured = (u32)(stop > h.base ? stop - h.base : 0);
    row->wire = (u32)(h.frame_end > h.base ? h.frame_end - h.base : 0);
    row->vlan = (u16)(h.has_vlan ? h.vlan : 0);
    row->mirror = (u16)(h.has_session ? h.session : 0);
    row->flags |= (h.outer ? F_OUTER : 0) | (h.has_vlan ? F_VLAN : 0) | (h.has_session ? F_MIRROR : 0);
    if (h.outer)
        put_addresses(row->outer_src, row->outer_dst, d, h.outer);
    if (h.ip)
        put_ip(row, d, &h);
    if (h.transport) {
        row->flags |= F_PORTS;
        row->sport = (u16)big16(d + h.transport->at);
        row->dport = (u16)big16(d + h.transport->at + 2);
        if (h.transport->step == TCP) {
            row->flags |= F_TCP;
            row->seq = big32(d + h.transport->at + 4);
            row->ack = big32(d + h.transport->at + 8);
            row->tcp_flags = d[h.transport->at + 13];
        }
    }
    start = h.inside;
    if (h.bth) {
        start = h.bth->at + 12 + put_rdma(r, row, d, size, &h);
        start += 4 + (d[h.bth->at + 1] >> 4 & 3);
    }
    if (h.ip && h.own_end > start)
        payload = h.own_end - start;
    if (h.bth)
        start -= 4 + (d[h.bth->at + 1] >> 4 & 3);
    row->payload = (u16)least(payload, 0xFFFF);
    if (payload && start + least(payload, CONTENT) <= least(size, h.end)) {
        row->content = crc32(r->tables, d + start, least(payload, CONTENT));
        row->flags |= F_CONTENT;
    }
    put_fingerprint(r, row, d, size, &h, payload);
    take_notes(r, d, size, &h, row);
    if (!row->direction)
        row->direction = direction_of(d, size, link);
}

static void add_row(struct index_request *r, const u8 *d, u64 size, u64 wire, u8 link, u64 t_ns, u8 direction, int timed)
{
    struct row *row = &r->out[r->rows];

    memset(row, 0, sizeof *row);
    row->t_ns = t_ns;
    row->direction = direction;
    fill_row(r, row, d, size, wire, link);
    r->rows++;
    r->packets++;
    r->foreign += !link;
    r->captured += size;
    r->wire += wire;
    if (!timed)
        return;
    r->disorder += (int64_t)t_ns < r->previous;
    r->previous = (int64_t)t_ns;
    r->first = (int64_t)t_ns < r->first ? (int64_t)t_ns : r->first;
    r->last = (int64_t)t_ns > r->last ? (int64_t)t_ns : r->last;
}

/* Nanoseconds modulo 2^64; the divisor is at most 2^60. */
static u64 nanoseconds(const struct clock *clock, u64 ticks)
{
    u64 whole = ticks / clock->divisor, rest = ticks % clock->divisor, part = 0, left = 0;
    int bit;

    if (clock->divisor == 1000000)
        return whole * 1000000000 + rest * 1000 + clock->offset;
    for (bit = 29; bit >= 0; bit--) {
        left = left * 2 + (1000000000u >> bit & 1 ? rest : 0);
        part = part * 2 + left / clock->divisor;
        left %= clock->divisor;
    }
    return whole * 1000000000 + part + clock->offset;
}

static u32 index_record(struct index_request *r, const u8 *p, u64 left, u64 *used)
{
    u64 size;

    if (left < 16)
        return MORE;
    size = get32(p + 8, r->big);
    if (size > MAX_RECORD)
        return BAD_RECORD;
    if (left < 16 + size)
        return MORE;
    *used = 16 + size;
    add_row(r, p + 16, size, get32(p + 12, r->big), r->links[0],
            (u64)get32(p, r->big) * 1000000000 + (u64)get32(p + 4, r->big) * r->clocks[0].divisor, 0, 1);
    return FLUSH;
}

/* Which way a packet went, as an option of its block says. */
static u8 way(const u8 *from, u64 size, u32 big)
{
    u64 at = 0;

    while (at + 4 <= size) {
        u32 code = get16(from + at, big), length = get16(from + at + 2, big);

        if (!code || at + 4 + length > size)
            return 0;
        if (code == 2 && length == 4)
            return get32(from + at + 4, big) & 3;
        at += 4 + ((length + 3u) & ~3u);
    }
    return 0;
}

static u32 index_simple(struct index_request *r, const u8 *p, u64 total)
{
    u64 wire, size;

    if (total < 16)
        return BAD_PACKET;
    if (!r->link_count)
        return NO_INTERFACE;
    wire = get32(p + 8, r->big);
    size = least(wire, total - 16);
    if (r->snaplens[0])
        size = least(size, r->snaplens[0]);
    add_row(r, p + 12, size, wire, r->links[0], 0, 0, 0);
    return FLUSH;
}

static u32 index_block(struct index_request *r, const u8 *p, u64 left, u64 *used)
{
    u64 total, size, padded;
    u32 found, kind, interface;
    u8 direction;

    found = packet_block(p, left, r->big, used);
    if (found != FLUSH)
        return found;
    kind = get32(p, r->big);
    total = *used;
    if (kind == 3)
        return index_simple(r, p, total);
    if (total < 32)
        return BAD_PACKET;
    interface = kind == 6 ? get32(p + 8, r->big) : get16(p + 8, r->big);
    if (interface >= r->link_count)
        return NO_INTERFACE;
    size = get32(p + 20, r->big);
    if (size > total - 32)
        return BAD_PACKET;
    padded = (size + 3) & ~(u64)3;
    direction = way(p + 28 + padded, total - 32 - padded, r->big);
    add_row(r, p + 28, size, get32(p + 24, r->big), r->links[interface],
            nanoseconds(&r->clocks[interface], (u64)get32(p + 12, r->big) << 32 | get32(p + 16, r->big)),
            direction == 3 ? 0 : direction, 1);
    return FLUSH;
}

/* Count the flags of all rows: 7 to a word, a byte for each, which are added up before one could overflow. */
static void count_flags(struct index_request *r)
{
    u64 row, words[3] = {0};
    u32 bit;

    for (row = 0; row < r->rows; row++) {
        for (bit = 0; bit < FLAG_COUNT; bit += 7)
            words[bit / 7] += (r->out[row].flags >> bit & 127) * 0x02040810204081u & 0x0101010101010101u;
        if (row % 255 < 254 && row + 1 < r->rows)
            continue;
        for (bit = 0; bit < FLAG_COUNT; bit++)
            r->counts[bit] += words[bit / 7] >> bit % 7 * 8 & 255;
        memset(words, 0, sizeof words);
    }
}

static void index_packets(struct index_request *r)
{
    r->in_used = r->rows = r->note_count = 0;
    for (;;) {
        u64 used = 0;
        const u8 *p = r->in + r->in_used;

        r->why = FLUSH;
        if (r->rows == r->out_size || r->note_count == r->note_size)
            return;
        r->why = r->format == PCAP ? index_record(r, p, r->in_size - r->in_used, &used)
                                   : index_block(r, p, r->in_size - r->in_used, &used);
        if (r->why != FLUSH)
            return;
        r->in_used += used;
    }
}

/* Go through packets until one is not all there, rows or notes are full, or something else comes: r->why says which. */
void wf_index(struct index_request *r)
{
    index_packets(r);
    count_flags(r);
}

/* ---- keyfile.py: the first byte of every row, then the second, and so on ---------------------------------------------------- */

#ifdef __GNUC__
typedef u8 vector __attribute__((vector_size(16)));
typedef u64 pair __attribute__((vector_size(16)));
#endif
#if defined(__clang__)
#define LOWER(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define UPPER(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif defined(__GNUC__)
#define LOWER(a, b) __builtin_shuffle(a, b, (vector){0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23})
#define UPPER(a, b) __builtin_shuffle(a, b, (vector){8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31})
#endif

#ifdef LOWER
/* Turn 16 rows, of which 8 bytes each are looked at, into 8 columns: each row is interleaved with the one half of them further on,
   four times. */
static inline void turn(const u8 *in, u64 width, u8 *out, u64 apart)
{
    vector a[8], b[8];
    u64 one, other;
    u32 step, at;

    UNROLL(GCC unroll 8)
    for (at = 0; at < 8; at++) {
        memcpy(&one, in + at * width, 8);
        memcpy(&other, in + (at + 8) * width, 8);
        a[at] = LOWER((vector)(pair){one}, (vector)(pair){other});
    }
    UNROLL(GCC unroll 3)
    for (step = 0; step < 3; step++) {
        UNROLL(GCC unroll 4)
        for (at = 0; at < 4; at++) {
            b[2 * at] = LOWER(a[at], a[at + 4]);
            b[2 * at + 1] = UPPER(a[at], a[at + 4]);
        }
        memcpy(a, b, sizeof a);
    }
    UNROLL(GCC unroll 8)
    for (at = 0; at < 8; at++)
        memcpy(out + at * apart, &a[at], 16);
}
#else
static void turn(const u8 *in, u64 width, u8 *out, u64 apart)
{
    u32 row, at;

    for (row = 0; row < 16; row++)
        for (at = 0; at < 8; at++)
            out[at * apart + row] = in[row * width + at];
}
#endif

/* `width` is a multiple of 8, columns are written `apart` bytes from each other. Lines of the cache are written whole and few at a time,
   because the columns of a segment are as far apart as makes them contend for one place there. */
void wf_planes(const u8 *in, u64 rows, u64 width, u8 *out, u64 apart)
{
    u64 begin, end, row, place, at;

    for (begin = 0; begin < rows; begin = end) {
        end = least(begin + 64, rows);
        for (place = 0; place < width; place += 8) {
            for (row = begin; row + 16 <= end; row += 16)
                turn(in + row * width + place, width, out + place * apart + row, apart);
            for (; row < end; row++)
                for (at = place; at < place + 8; at++)
                    out[at * apart + row] = in[row * width + at];
        }
    }
}

/* ---- pcapfile.py: counting records ----------------------------------------------------------------------------------- */

/* Changed together with Tally in pcapfile_hot.py; wf_tally_size() tells whether they agree. */
struct tally {
    int64_t t0, t1, previous, first, last;
    u64 used, packets, inside, captured, wire, disorder, too_long;
    u32 big, scale;
};

u64 wf_tally_size(void) { return sizeof(struct tally); }

void wf_count(const u8 *in, u64 size, struct tally *n)
{
    n->used = n->packets = n->inside = n->captured = n->wire = n->disorder = n->too_long = 0;
    n->first = INT64_MAX;
    n->last = INT64_MIN;
    while (size - n->used >= 16) {
        const u8 *p = in + n->used;
        u32 length = get32(p + 8, n->big);
        int64_t now = (int64_t)get32(p, n->big) * 1000000000 + (int64_t)get32(p + 4, n->big) * n->scale;

        if (length > MAX_RECORD) {
            n->too_long = length;
            return;
        }
        if (size - n->used < 16 + (u64)length)
            return;
        n->used += 16 + (u64)length;
        n->packets++;
        n->captured += length;
        n->wire += get32(p + 12, n->big);
        n->inside += n->t0 <= now && now <= n->t1;
        n->disorder += now < n->previous;
        n->previous = now;
        n->first = now < n->first ? now : n->first;
        n->last = now > n->last ? now : n->last;
    }
}
"""
