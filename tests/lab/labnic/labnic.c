// SPDX-License-Identifier: GPL-2.0
/*
 * labnic: a pair of virtual NICs whose ethtool face behaves like a ConnectX under MLNX_OFED 4.6.
 *
 * An emulation for tests: packets pass from one device of the pair to the other. What it reproduces are the rules that
 * trip automation: private flags with `sniffer`, which needs an open device and is lost when channels are reopened
 * (ring or channel change) or the device goes down; LRO that needs rx_striding_rq; rings rounded to powers of two.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

#define RING_MIN 64
#define RING_MAX 8192
#define CHANNELS_MAX 63

static const char flag_names[][ETH_GSTRING_LEN] = {
	"rx_cqe_moder", "tx_cqe_moder", "rx_cqe_compress", "rx_striding_rq", "rx_no_csum_complete",
	"sniffer", "dropless_rq", "per_channel_stats", "tx_xdp_hw_checksum",
};
enum { FLAG_STRIDING = BIT(3), FLAG_SNIFFER = BIT(5), FLAG_DEFAULTS = BIT(0) | BIT(3) | BIT(7) };

static const char stat_names[][ETH_GSTRING_LEN] = {
	"rx_packets", "tx_packets", "rx_out_of_buffer", "rx_vport_rdma_unicast_packets", "tx_vport_rdma_unicast_packets",
};

static unsigned int prof_sel = 2;
module_param(prof_sel, uint, 0444);
MODULE_PARM_DESC(prof_sel, "profile selector, 0 to 2 (has no effect)");

static char *name = "ens1f0np0";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "name of the first device of the pair; the second is called labwire0");

struct labnic {
	struct net_device *peer;
	u32 flags;
	u32 rx_ring, tx_ring;
	u32 channels;
	u64 rdma_rx, rdma_tx;
};

static struct net_device *pair[2];

/* RoCEv2 over untagged IPv4, which is what the traffic generator of the lab sends. */
static bool is_roce(const struct sk_buff *skb)
{
	const u8 *data = skb->data;

	return skb_headlen(skb) >= 42 && data[12] == 8 && data[13] == 0 && data[14] == 0x45 && data[23] == 17 &&
	       data[36] == 0x12 && data[37] == 0xb7;
}

static netdev_tx_t labnic_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct labnic *own = netdev_priv(dev), *other = netdev_priv(own->peer);
	unsigned int length = skb->len;
	bool roce = is_roce(skb);

	skb_tx_timestamp(skb);
	dev->stats.tx_packets++;
	dev->stats.tx_bytes += length;
	own->rdma_tx += roce;
	if (!(own->peer->flags & IFF_UP) || __dev_forward_skb(own->peer, skb) != NET_RX_SUCCESS) {
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	own->peer->stats.rx_packets++;
	own->peer->stats.rx_bytes += length;
	other->rdma_rx += roce;
	netif_rx(skb);
	return NETDEV_TX_OK;
}

static int labnic_open(struct net_device *dev)
{
	struct labnic *own = netdev_priv(dev);

	netif_carrier_on(dev);
	netif_carrier_on(own->peer);
	netif_tx_start_all_queues(dev);
	return 0;
}

static int labnic_stop(struct net_device *dev)
{
	struct labnic *own = netdev_priv(dev);

	own->flags &= ~FLAG_SNIFFER;
	netif_tx_stop_all_queues(dev);
	netif_carrier_off(dev);
	return 0;
}

static netdev_features_t labnic_fix_features(struct net_device *dev, netdev_features_t features)
{
	struct labnic *own = netdev_priv(dev);

	return own->flags & FLAG_STRIDING ? features : features & ~NETIF_F_LRO;
}

static const struct net_device_ops labnic_ops = {
	.ndo_open = labnic_open,
	.ndo_stop = labnic_stop,
	.ndo_start_xmit = labnic_xmit,
	.ndo_fix_features = labnic_fix_features,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static void labnic_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "mlx5_core", sizeof(info->driver));
	strscpy(info->version, "labnic-emulation", sizeof(info->version));
	strscpy(info->fw_version, "16.35.2000 (LAB0000000001)", sizeof(info->fw_version));
	strscpy(info->bus_info, "0000:3b:00.0", sizeof(info->bus_info));
	info->n_priv_flags = ARRAY_SIZE(flag_names);
}

static int labnic_get_sset_count(struct net_device *dev, int set)
{
	switch (set) {
	case ETH_SS_PRIV_FLAGS: return ARRAY_SIZE(flag_names);
	case ETH_SS_STATS: return ARRAY_SIZE(stat_names);
	default: return -EOPNOTSUPP;
	}
}

static void labnic_get_strings(struct net_device *dev, u32 set, u8 *buffer)
{
	if (set == ETH_SS_PRIV_FLAGS)
		memcpy(buffer, flag_names, sizeof(flag_names));
	if (set == ETH_SS_STATS)
		memcpy(buffer, stat_names, sizeof(stat_names));
}

static void labnic_get_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	struct labnic *own = netdev_priv(dev);

	data[0] = dev->stats.rx_packets;
	data[1] = dev->stats.tx_packets;
	data[2] = 0;
	data[3] = own->rdma_rx;
	data[4] = own->rdma_tx;
}

static u32 labnic_get_priv_flags(struct net_device *dev)
{
	struct labnic *own = netdev_priv(dev);

	return own->flags;
}

static int labnic_set_priv_flags(struct net_device *dev, u32 flags)
{
	struct labnic *own = netdev_priv(dev);
	u32 changed = own->flags ^ flags;

	if ((changed & FLAG_SNIFFER) && !netif_running(dev))
		return -EPERM;
	if ((changed & FLAG_STRIDING) && !(flags & FLAG_STRIDING) && (dev->features & NETIF_F_LRO))
		return -EINVAL;
	own->flags = flags;
	return 0;
}

static void labnic_get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
				 struct kernel_ethtool_ringparam *kernel, struct netlink_ext_ack *ack)
{
	struct labnic *own = netdev_priv(dev);

	ring->rx_max_pending = RING_MAX;
	ring->tx_max_pending = RING_MAX;
	ring->rx_pending = own->rx_ring;
	ring->tx_pending = own->tx_ring;
}

static int labnic_set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
				struct kernel_ethtool_ringparam *kernel, struct netlink_ext_ack *ack)
{
	struct labnic *own = netdev_priv(dev);

	if (ring->rx_pending < RING_MIN || ring->tx_pending < RING_MIN)
		return -EINVAL;
	own->rx_ring = roundup_pow_of_two(ring->rx_pending);
	own->tx_ring = roundup_pow_of_two(ring->tx_pending);
	own->flags &= ~FLAG_SNIFFER;
	return 0;
}

static void labnic_get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct labnic *own = netdev_priv(dev);

	channels->max_combined = CHANNELS_MAX;
	channels->combined_count = own->channels;
}

static int labnic_set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct labnic *own = netdev_priv(dev);

	own->channels = channels->combined_count;
	own->flags &= ~FLAG_SNIFFER;
	return 0;
}

static int labnic_get_link(struct net_device *dev, struct ethtool_link_ksettings *link)
{
	link->base.speed = SPEED_100000;
	link->base.duplex = DUPLEX_FULL;
	link->base.port = PORT_FIBRE;
	return 0;
}

static const struct ethtool_ops labnic_ethtool_ops = {
	.get_drvinfo = labnic_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = labnic_get_link,
	.get_sset_count = labnic_get_sset_count,
	.get_strings = labnic_get_strings,
	.get_ethtool_stats = labnic_get_stats,
	.get_priv_flags = labnic_get_priv_flags,
	.set_priv_flags = labnic_set_priv_flags,
	.get_ringparam = labnic_get_ringparam,
	.set_ringparam = labnic_set_ringparam,
	.get_channels = labnic_get_channels,
	.set_channels = labnic_set_channels,
	.get_ts_info = ethtool_op_get_ts_info,
};

/* The far end of the pair is the wire, not a card. */
static void labwire_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "labwire", sizeof(info->driver));
}

static const struct ethtool_ops labwire_ethtool_ops = {
	.get_drvinfo = labwire_get_drvinfo,
	.get_link = ethtool_op_get_link,
};

static void labnic_setup(struct net_device *dev)
{
	struct labnic *own = netdev_priv(dev);

	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &labnic_ops;
	dev->ethtool_ops = &labnic_ethtool_ops;
	dev->max_mtu = 9978;
	dev->hw_features = NETIF_F_LRO | NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_RXCSUM |
			   NETIF_F_RXHASH | NETIF_F_NTUPLE | NETIF_F_RXALL | NETIF_F_RXFCS;
	dev->features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_RXCSUM | NETIF_F_RXHASH;
	own->flags = FLAG_DEFAULTS;
	own->rx_ring = own->tx_ring = 1024;
	own->channels = 8;
}

/* Both leave under one lock: nobody can open one of them when the other, whose carrier that would touch, is gone. */
static void labnic_unregister(int registered)
{
	LIST_HEAD(leaving);
	int i;

	rtnl_lock();
	for (i = 0; i < registered; i++)
		unregister_netdevice_queue(pair[i], &leaving);
	unregister_netdevice_many(&leaving);
	rtnl_unlock();
	for (i = 0; i < 2; i++)
		if (pair[i])
			free_netdev(pair[i]);
}

static void __exit labnic_exit(void)
{
	labnic_unregister(2);
}

static int __init labnic_init(void)
{
	const char *names[2] = {name, "labwire0"};
	int i, registered = 0, error = -ENOMEM;

	for (i = 0; i < 2; i++) {
		pair[i] = alloc_netdev(sizeof(struct labnic), names[i], NET_NAME_USER, labnic_setup);
		if (!pair[i])
			goto failed;
	}
	pair[1]->ethtool_ops = &labwire_ethtool_ops;
	for (i = 0; i < 2; i++)
		((struct labnic *)netdev_priv(pair[i]))->peer = pair[1 - i];
	for (; registered < 2; registered++) {
		error = register_netdev(pair[registered]);
		if (error)
			goto failed;
		netif_carrier_off(pair[registered]);
	}
	return 0;
failed:
	labnic_unregister(registered);
	return error;
}

module_init(labnic_init);
module_exit(labnic_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ConnectX-like ethtool face on a pair of virtual NICs, an emulation for tests");
