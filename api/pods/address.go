package pods

import "net/netip"

// Address is an IPv4 or IPv6 address in two thirds of the memory of a netip.Addr, for it has no zone: those mean something on one machine only. The
// zero Address is none.
type Address [16]byte

// AddressOf is the Address of what is one, but for its zone. That of an IPv4 address within IPv6 is the IPv4 address; :: is none.
func AddressOf(address netip.Addr) Address { return address.As16() }

// IsValid is false for none.
func (a Address) IsValid() bool { return a != Address{} }

// Addr is the address, the zero Addr for none.
func (a Address) Addr() netip.Addr {
	if !a.IsValid() {
		return netip.Addr{}
	}
	return netip.AddrFrom16(a).Unmap()
}

// Compare orders Addresses as netip does: none, then IPv4, then IPv6.
func (a Address) Compare(other Address) int { return a.Addr().Compare(other.Addr()) }

// String is the address as it is usually written.
func (a Address) String() string { return a.Addr().String() }
