package memory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A magic begins a file, and says what is in it.
const (
	magic              = "podway-pods"
	magicHolds         = "podway-holds"
	magicHoldbacks     = "podway-holdbacks"
	magicConfiguration = "podway-configuration"
)

const (
	version = 1

	// maxPayload is 30 times what the Pods of the largest cluster that Kubernetes supports take (150,000).
	maxPayload = 64 << 20
	// maxServices and maxPods bound the memory that a file can ask for; a cluster of Kubernetes has 10,000 and 150,000 at most.
	maxServices = 1_000_000
	maxPods     = 1_000_000
	// maxHeader is more than the longest first line, of any version.
	maxHeader = 256
	maxFile   = maxHeader + maxPayload
)

// frame puts the first line before a payload.
func frame(magic string, payload []byte) []byte {
	sum := sha256.Sum256(payload)
	file := make([]byte, 0, maxHeader+len(payload))
	file = fmt.Appendf(file, "%s %d %d %x\n", magic, version, len(payload), sum)
	return append(file, payload...)
}

// unframe returns the payload of a file, and says what is wrong with it where it is not as it was written.
func unframe(magic string, file []byte) ([]byte, error) {
	line, payload, found := bytes.Cut(file[:min(len(file), maxHeader)], []byte("\n"))
	if found {
		payload = file[len(line)+1:]
	}
	fields := strings.Split(string(line), " ")
	if fields[0] != magic || len(fields) < 2 {
		if strings.HasPrefix(magic, string(file)) {
			return nil, fmt.Errorf("is torn: only %d bytes of it are there", len(file))
		}
		return nil, fmt.Errorf("is damaged, or was not written by podway: it does not begin with %q", magic)
	}
	if written, err := strconv.ParseUint(fields[1], 10, 31); err == nil && written != version && (found || len(fields) > 2) {
		if written > version {
			return nil, fmt.Errorf("was written by a newer podway, in format %d; this one reads format %d", written, version)
		}
		return nil, fmt.Errorf("was written by an older podway, in format %d; this one reads format %d", written, version)
	}
	if !found {
		return nil, fmt.Errorf("is torn: only %d bytes of it are there", len(file))
	}
	length, sum, err := parseHeader(magic, fields)
	switch {
	case err != nil:
		return nil, err
	case len(payload) < length:
		return nil, fmt.Errorf("is torn: only %d of %d bytes are there", len(line)+1+len(payload), len(line)+1+length)
	case len(payload) > length:
		return nil, fmt.Errorf("is damaged: %d bytes are there, not %d", len(line)+1+len(payload), len(line)+1+length)
	case sha256.Sum256(payload) != sum:
		return nil, fmt.Errorf("is damaged: its content does not have the checksum that it was written with")
	}
	return payload, nil
}

// parseHeader reads the first line of a file of this version.
func parseHeader(magic string, fields []string) (length int, sum [sha256.Size]byte, err error) {
	bad := fmt.Errorf("is damaged: its first line is not %q", magic+" VERSION LENGTH SHA256")
	if len(fields) != 4 || fields[1] != strconv.Itoa(version) || len(fields[3]) != hex.EncodedLen(sha256.Size) {
		return 0, sum, bad
	}
	length, err = strconv.Atoi(fields[2])
	if err != nil || length < 0 || length > maxPayload {
		return 0, sum, bad
	}
	if _, err = hex.Decode(sum[:], []byte(fields[3])); err != nil {
		return 0, sum, bad
	}
	return length, sum, nil
}
