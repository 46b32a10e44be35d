/* Copyright: (c) 2026, the wirefleet.capture authors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sends frames of one size as fast as one core can, or so many per second, and prints how many went out.
 * usage: sender DEVICE SIZE PER_SECOND SECONDS [HEX]     (PER_SECOND 0: no limit; HEX: what frames begin with) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, LARGEST = 9000, EXPERIMENTAL = 0x88b5 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static unsigned char frame[LARGEST] = "\x02\0\0\0\0\2\x02\0\0\0\0\1\x88\xb5";
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN};
    struct mmsghdr batch[BATCH] = {0};
    struct iovec piece = {.iov_base = frame};

    if (argc < 5 || argc > 6 || atoi(argv[2]) < ETH_HLEN || atoi(argv[2]) > LARGEST) {
        fprintf(stderr, "usage: sender DEVICE SIZE PER_SECOND SECONDS [HEX]\n");
        return 2;
    }
    for (int i = 0; argc == 6 && i < atoi(argv[2]) && sscanf(argv[5] + 2 * i, "%2hhx", frame + i) == 1; i++)
        if (!argv[5][2 * i + 2])
            break;
    piece.iov_len = atoi(argv[2]);
    double rate = atof(argv[3]), seconds = atof(argv[4]);
    to.sll_ifindex = if_nametoindex(argv[1]);
    to.sll_protocol = htons(EXPERIMENTAL);
    int sock = socket(AF_PACKET, SOCK_RAW, 0);
    if (sock < 0 || !to.sll_ifindex) {
        perror(argv[1]);
        return 1;
    }
    for (int i = 0; i < BATCH; i++) {
        batch[i].msg_hdr.msg_name = &to;
        batch[i].msg_hdr.msg_namelen = sizeof to;
        batch[i].msg_hdr.msg_iov = &piece;
        batch[i].msg_hdr.msg_iovlen = 1;
    }
    unsigned long sent = 0;
    double start = now(), elapsed;
    while ((elapsed = now() - start) < seconds) {
        if (rate > 0 && sent > rate * elapsed)
            continue;
        int done = sendmmsg(sock, batch, BATCH, 0);
        if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
            perror("sendmmsg");
            return 1;
        }
        sent += done > 0 ? done : 0;
    }
    printf("%lu %.3f\n", sent, elapsed);
    return 0;
}
