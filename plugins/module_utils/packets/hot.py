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

/* ---- layers.py: headers, as far as finding mirrored frames takes ----------------------------------------------------- */

enum step {
    NONE, ETHERNET, VLAN, COOKED, COOKED2, RAW, IPV4, IPV6, EXTENSION, AUTHENTICATION, FRAGMENT_HEADER, GRE_FRAGMENT,
    OTHER_FRAGMENT, GRE, ERSPAN1, BRIDGED, MELLANOX, ERSPAN2, ERSPAN3, TRANSPORT
};
enum stop { WHOLE, SHORT, FRAGMENT, UNKNOWN };
enum { MAX_LAYERS = 32, MAX_DEPTH = 8, MAX_STREAMS = 4096, SLOTS = 8192, LATE = 4096, MAX_RECORD = 16 << 20 };

struct layer { u64 at, size, end; enum step step; };
struct decoded { struct layer layers[MAX_LAYERS]; int count; enum stop stop; enum step stopped_at; };

static enum step of_ethertype(u32 type)
{
    switch (type) {
    case 0x0800: return IPV4;
    case 0x86DD: return IPV6;
    case 0x8100: case 0x88A8: case 0x9100: case 0x9200: return VLAN;
    case 0x8915: return TRANSPORT;
    default: return NONE;
    }
}

static enum step of_ip_protocol(u32 protocol)
{
    switch (protocol) {
    case 0: case 43: case 60: return EXTENSION;
    case 4: return IPV4;
    case 6: case 17: return TRANSPORT;
    case 41: return IPV6;
    case 44: return FRAGMENT_HEADER;
    case 47: return GRE;
    case 51: return AUTHENTICATION;
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

static enum step whole(enum step follows, u32 offset, u32 more)
{
    if (!offset && (!more || follows == TRANSPORT))
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
    default:
        return UNKNOWN;
    }
}

static void decode(const u8 *d, u64 size, u64 wire, enum step step, struct decoded *found)
{
    u64 at = 0, end = wire > size ? wire : size;

    found->count = 0;
    while (step != NONE && step != TRANSPORT && found->count < MAX_LAYERS) {
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
enum { ROW = 256 };

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
        decode(d, size, wire, (enum step)link, &found);
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

static u32 pcapng_block(struct request *r, const u8 *p, u64 left, u64 *used)
{
    u64 total, size, start, stop, wire, padded, length;
    u32 kind, interface;
    u8 *to = r->out + r->out_used;

    if (left < 12)
        return MORE;
    kind = get32(p, r->big);
    if (kind != 2 && kind != 3 && kind != 6)
        return BLOCK;
    total = get32(p + 4, r->big);
    if (total < 12 || total % 4 || total > MAX_RECORD)
        return BAD_BLOCK;
    if (left < total)
        return MORE;
    if (get32(p + total - 4, r->big) != total)
        return BAD_LENGTHS;
    *used = total;
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

        if (r->side_size - r->side_used < (u64)MAX_DEPTH * ROW) {
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
