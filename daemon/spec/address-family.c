/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "address-family.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "spec.h"
#include "str.h"

#define NAME(family) [AF_##family] = "AF_" #family

static const char *const names[ADDRESS_FAMILIES_MAX] = {
	NAME(UNIX),      NAME(INET),     NAME(AX25),  NAME(IPX),     NAME(APPLETALK), NAME(NETROM),
	NAME(BRIDGE),    NAME(ATMPVC),   NAME(X25),   NAME(INET6),   NAME(ROSE),      NAME(DECnet),
	NAME(NETBEUI),   NAME(SECURITY), NAME(KEY),   NAME(NETLINK), NAME(PACKET),    NAME(ASH),
	NAME(ECONET),    NAME(ATMSVC),   NAME(RDS),   NAME(SNA),     NAME(IRDA),      NAME(PPPOX),
	NAME(WANPIPE),   NAME(LLC),      NAME(IB),    NAME(MPLS),    NAME(CAN),       NAME(TIPC),
	NAME(BLUETOOTH), NAME(IUCV),     NAME(RXRPC), NAME(ISDN),    NAME(PHONET),    NAME(IEEE802154),
	NAME(CAIF),      NAME(ALG),      NAME(NFC),   NAME(VSOCK),   NAME(KCM),       NAME(QIPCRTR),
	NAME(SMC),       NAME(XDP),      NAME(MCTP),
};

/* Second names. */
static const struct {
	const char *name;
	int family;
} more[] = {{"AF_LOCAL", AF_LOCAL}, {"AF_FILE", AF_FILE}, {"AF_ROUTE", AF_ROUTE}};

/* Sockets of the kernel's ciphers (which wrote to shared pages of files, CVE-2026-31431), of the hypervisor and
 * of whole frames of a network: they reach past a container. */
#define REFUSED (1ULL << AF_ALG | 1ULL << AF_VSOCK | 1ULL << AF_PACKET)

int address_family_parse(const char *name)
{
	for (int family = 0; family < ADDRESS_FAMILIES_MAX; family++)
		if (names[family] && str_equal(names[family], name))
			return family;
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		if (str_equal(more[i].name, name))
			return more[i].family;
	return -EINVAL;
}

const char *address_family_name(int family)
{
	return names[family];
}

uint64_t address_family_mask(const struct site_spec *spec, enum families_mode *ret_mode)
{
	*ret_mode = spec->families_mode == FAMILIES_ALLOW ? FAMILIES_ALLOW : FAMILIES_REFUSE;
	return spec->families_mode == FAMILIES_DEFAULT ? REFUSED : spec->families;
}
