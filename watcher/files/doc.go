// Package files is the source of a configuration that is a directory of YAML:
// it reads every file below it, follows changes, and hands on one consistent
// picture after another. What cannot be read keeps its last good content in
// force, and is a Problem with file, line, object and field.
//
// It knows files, YAML and the kinds that may stand in them. It does not know
// what becomes of them: neither Envoy nor how objects refer to each other.
package files
