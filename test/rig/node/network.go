//go:build linux

package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// chooseLink returns the two addresses of a link that no route of the machine covers, other than the default one.
func chooseLink() (host, node string, err error) {
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return "", "", err
	}
	taken, err := parseRoutes(string(routes))
	if err != nil {
		return "", "", fmt.Errorf("reading /proc/net/route: %w", err)
	}
	for third := range 256 {
		link := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, byte(third), 0}), 30)
		free := true
		for _, route := range taken {
			free = free && !route.Overlaps(link)
		}
		if free {
			first := link.Addr().Next()
			return first.String(), first.Next().String(), nil
		}
	}
	return "", "", errors.New("the machine has routes to all of 10.213.0.0/16, of which the cluster needs four addresses")
}

// parseRoutes reads the kernel's table of routes, less the default ones.
func parseRoutes(table string) ([]netip.Prefix, error) {
	var routes []netip.Prefix
	for n, line := range strings.Split(strings.TrimSpace(table), "\n") {
		fields := strings.Fields(line)
		if n == 0 || len(fields) < 8 {
			continue
		}
		// Addresses are in the machine's byte order, which is little-endian wherever this runs.
		destination, err := hex.DecodeString(fields[1])
		if err != nil {
			return nil, err
		}
		mask, err := hex.DecodeString(fields[7])
		if err != nil {
			return nil, err
		}
		if len(destination) != 4 || len(mask) != 4 {
			return nil, fmt.Errorf("line %d is not of IPv4: %q", n+1, line)
		}
		bits := 0
		for m := binary.LittleEndian.Uint32(mask); m != 0; m <<= 1 {
			bits++
		}
		if bits == 0 {
			continue
		}
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], binary.LittleEndian.Uint32(destination))
		routes = append(routes, netip.PrefixFrom(netip.AddrFrom4(address), bits))
	}
	return routes, nil
}
