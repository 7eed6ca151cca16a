package api

// The codes of Problems that the input has: what a file or an object of the configuration can be wrong about by
// itself. They are stable: scripts and alerts match on them.
const (
	// CodeInvalidValue is a value that its field cannot have: a malformed host name, an unknown enum value, a bad selector.
	CodeInvalidValue = "InvalidValue"
	// CodeOutOfRange is a number, a length or a duration that is too small or too large.
	CodeOutOfRange = "OutOfRange"
	// CodeTooMany is a list with more entries than its field may have.
	CodeTooMany = "TooMany"
	// CodeTooFew is a list with fewer entries than its field must have.
	CodeTooFew = "TooFew"
	// CodeMissingField is a required field that is not there.
	CodeMissingField = "MissingField"
	// CodeConflict is two fields of one object that cannot stand together.
	CodeConflict = "Conflict"
	// CodeNoMembers is a tunnel with neither services nor addresses.
	CodeNoMembers = "NoMembers"
	// CodeAllWeightsZero is a tunnel in which nothing can take traffic.
	CodeAllWeightsZero = "AllWeightsZero"
	// CodeDuplicateEntry is an entry of a list that is there twice.
	CodeDuplicateEntry = "DuplicateEntry"

	// CodeUnknownKind is an object of a kind, group or version that podway does not read.
	CodeUnknownKind = "UnknownKind"
	// CodeUnknownField is a field that its kind does not have.
	CodeUnknownField = "UnknownField"
	// CodeWrongType is a value of another type than its field has.
	CodeWrongType = "WrongType"
	// CodeDuplicateKey is a key that a YAML mapping has twice.
	CodeDuplicateKey = "DuplicateKey"
	// CodeInvalidName is a metadata.name or namespace that Kubernetes would refuse, or that is missing.
	CodeInvalidName = "InvalidName"
	// CodeDuplicateObject is an object that is in two places.
	CodeDuplicateObject = "DuplicateObject"

	// CodeInvalidYAML is a file that does not parse.
	CodeInvalidYAML = "InvalidYAML"
	// CodeNotUTF8 is a file that is not UTF-8.
	CodeNotUTF8 = "NotUTF8"
	// CodeTooLarge is a file, a document or a directory over a limit.
	CodeTooLarge = "TooLarge"
	// CodeTooDeep is a document that nests deeper than any object does.
	CodeTooDeep = "TooDeep"
	// CodeAliasExplosion is a document whose YAML aliases multiply.
	CodeAliasExplosion = "AliasExplosion"
	// CodeUnreadable is a file or directory that cannot be read.
	CodeUnreadable = "Unreadable"
)
