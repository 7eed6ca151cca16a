// Package memory keeps the last good Pods of each member cluster on disk, so
// that a restarted podway with a cluster away serves what it last knew, and
// what Envoys rejected, so that it is not sent to them again. It
// knows files and nothing of API servers: what it is given it gives back
// unchanged, or says why it cannot. It never gives back anything else.
//
// A state directory belongs to one podway:
//
//	DIR/lock             held with flock(2) by the podway that uses it
//	DIR/pods/NAME        what is remembered of the cluster of that name
//	DIR/pods/.holds      which Pods tunnels hold though they are not ready
//	DIR/pods/.holdbacks  what Envoys rejected, and what they have instead
//	DIR/pods/.new        a file that is being written; a leftover after a crash
//
// There is no Secret in a file, but names, labels and addresses of Pods are, and the specs of what is held back:
// files are made with mode 0600 in directories of 0700.
//
// A file is a line of text, "podway-pods VERSION LENGTH SHA256", with the
// length in bytes and the sum of the payload that follows it. The payload is
// read and written in one pass. Integers are varints as in encoding/binary; a string, a list of ports
// or a map of labels that was there before is a number; the name of a Pod says how much of the name before it it
// begins with; a UID is 16 bytes. With 10 Pods in each of 1000 Services that is 41 bytes a Pod with its part of the
// Service (JSON: 347, encoding/gob: 159), and half the time of either to write. There is no compression: it would save a third, and the size
// of the file would no longer limit what is read into memory. Holds and holdbacks are few and rare: their payload is JSON, after "podway-holds" and
// "podway-holdbacks".
package memory
