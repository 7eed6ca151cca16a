package kubetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const namespaceRemedy = "run the tests as root, or allow user namespaces (sysctl user.max_user_namespaces and user.max_net_namespaces above 0, " +
	"kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container, the CAP_SYS_ADMIN capability)"

// namespaceAttributes make a child of this process have a network of its own. A user that is not root is root in there.
func namespaceAttributes() (*syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attributes, nil
}

// loopbackUp brings the loopback device up and gives it an address of each network. On that device alone, the whole network of an address
// is local (fib_add_ifaddr in the kernel's net/ipv4/fib_frontend.c).
func loopbackUp(networks []netip.Prefix) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = setUp(socket)
	for i, network := range networks {
		if err == nil {
			err = addAddress(socket, fmt.Sprintf("lo:%d", i), network)
		}
	}
	return errors.Join(err, unix.Close(socket))
}

func setUp(socket int) error {
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request); err != nil {
		return fmt.Errorf("reading its flags: %w", err)
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bringing it up: %w; %s", err, namespaceRemedy)
	}
	return nil
}

// addAddress adds the first address of a network under a label of its own, by which the kernel tells it from those before.
func addAddress(socket int, label string, network netip.Prefix) error {
	request, err := unix.NewIfreq(label)
	if err != nil {
		return err
	}
	first := network.Addr().Next().As4()
	if err := request.SetInet4Addr(first[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFADDR, request); err != nil {
		return fmt.Errorf("adding %s: %w", network, err)
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-network.Bits()))
	if err := request.SetInet4Addr(mask[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFNETMASK, request); err != nil {
		return fmt.Errorf("setting the mask of %s: %w", network, err)
	}
	return nil
}
