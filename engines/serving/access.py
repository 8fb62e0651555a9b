"""Which sources a room may have: a URL goes in, a refusal or FFmpeg's options come out.

A caller of the API must not read local files or the inner network through us. So the scheme is one of a few, and every
address of the host is a public one, unless the operator names the host or its network. The check is repeated before
every connection. FFmpeg then resolves the name once more, which only a firewall can check (docs/serving.md).
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from kuaihl.models.errors import SourceError, SourceUnavailable, UsageError

SCHEMES = ("rtmp", "rtmps", "srt", "http", "https")
_MOST_CHARACTERS = 2_000  # of a URL
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)
_PLAIN = re.compile(r"[!-~]+", re.ASCII)  # no space, no control character, nothing beyond ASCII
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GIVEN_OUT = ipaddress.ip_network("2000::/3")  # all that the internet's unicast has of IPv6

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A stranger's server must not lead elsewhere: no redirects, and no playlists, whose pieces may lie on any host.
_STRANGER = {"format_whitelist": "data,flv,live_flv,mpegts,matroska,webm,mov,mp4,ogg,mp3,aac,wav,flac"}
_NO_REDIRECTS = {"max_redirects": "0"}


class Refused(SourceError):
    """A source that this server does not read."""


@dataclass(frozen=True)
class Allowed:
    """The hosts and networks that the operator trusts."""

    hosts: frozenset[str] = frozenset()  # in lower case
    networks: tuple[Network, ...] = ()

    def trusts(self, host: str) -> bool:
        """Whether a host is trusted by its name or its own address."""
        if host in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return self.trusts_address(address)

    def trusts_address(self, address: Address) -> bool:
        """Whether an address lies in a trusted network."""
        return any(address.version == network.version and address in network for network in self.networks)


def parse_allowed(entries: Iterable[str]) -> Allowed:
    """Host names, addresses and networks (10.0.0.0/8). Raises UsageError for anything else."""
    hosts, networks = set(), []
    for entry in entries:
        bare = entry.strip().lower().removeprefix("[").removesuffix("]")
        try:
            networks.append(ipaddress.ip_network(bare))
            continue
        except ValueError:
            pass
        if not _HOST.fullmatch(bare):
            raise UsageError("give a host name, an address or a network", setting="allow_host", value=entry)
        hosts.add(bare)
    return Allowed(frozenset(hosts), tuple(networks))


def host_of(url: str) -> str:
    """The host of a source's URL, in lower case. Raises Refused for a URL that is no source of a room."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in SCHEMES:
        raise Refused(f"{url}: not a source of a room; give a URL of {', '.join(f'{one}://' for one in SCHEMES)}")
    if len(url) > _MOST_CHARACTERS or not _PLAIN.fullmatch(url) or "\\" in url:
        raise Refused(
            f"{url[:100]}: not a plain URL; give at most {_MOST_CHARACTERS} ASCII characters, percent-encoded"
        )
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        _ = parts.port
    except ValueError as error:
        raise Refused(f"{url}: not a URL ({error})") from error
    if "%" in host or not (":" in host or _HOST.fullmatch(host)):
        raise Refused(f"{url}: names no host")
    asked = parse_qsl(url.partition("?")[2])  # as FFmpeg sees it: the first of a name counts, and no fragment ends it
    if scheme.lower() == "srt" and any(name == "mode" and value != "caller" for name, value in asked):
        raise Refused(f"{url}: a room only calls; leave mode out")
    return host


def check_source(url: str, allowed: Allowed) -> Mapping[str, str]:
    """FFmpeg's options for a source that a room may have.

    Raises Refused for any other, SourceUnavailable if its name is not known at present.
    """
    host = host_of(url)
    options = dict(_NO_REDIRECTS) if urlsplit(url).scheme.lower() in ("http", "https") else {}
    if allowed.trusts(host):
        return options
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnavailable(f"{url}: no address is known for {host} ({error})") from error
    for entry in found:
        address = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
        if not (is_public(address) or allowed.trusts_address(address)):
            raise Refused(f"{url}: leads to {address}, which is not a public address; the operator may allow it")
    return options | _STRANGER


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, with any address inside it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inside = [address.sixtofour, *(address.teredo or ())]
        if address not in _GIVEN_OUT or not all(one is None or is_public(one) for one in inside):
            return False
    return address.is_global and not address.is_multicast
