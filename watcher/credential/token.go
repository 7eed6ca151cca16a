package credential

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// claims are what a token says of itself. Nobody has verified them: that is the API server's part.
type claims struct {
	expires, issuedAt time.Time
	serviceAccount    types.NamespacedName
	audiences         []string
}

// claimsOf reads a JSON Web Token (RFC 7519). They are empty where it is none.
func claimsOf(token string) claims {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return claims{}
	}
	var raw struct {
		Expires  json.Number     `json:"exp"`
		IssuedAt json.Number     `json:"iat"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
	}
	if json.Unmarshal(payload, &raw) != nil {
		return claims{}
	}
	out := claims{expires: timeOf(raw.Expires), issuedAt: timeOf(raw.IssuedAt)}
	if rest, ok := strings.CutPrefix(raw.Subject, "system:serviceaccount:"); ok {
		if namespace, name, ok := strings.Cut(rest, ":"); ok && namespace != "" && name != "" {
			out.serviceAccount = types.NamespacedName{Namespace: namespace, Name: name}
		}
	}
	// An audience is a string or a list of strings.
	var one string
	if json.Unmarshal(raw.Audience, &out.audiences) != nil {
		out.audiences = nil
		if json.Unmarshal(raw.Audience, &one) == nil && one != "" {
			out.audiences = []string{one}
		}
	}
	return out
}

// timeOf is a NumericDate, seconds since 1970 that may have a fraction. It is zero where it is none, or past the year 9999.
func timeOf(number json.Number) time.Time {
	const last = 253402300799
	seconds, err := number.Float64()
	if err != nil || number == "" || seconds < -last || seconds > last {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
