package demo

import (
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"time"
)

// webSocketGUID is the fixed one of RFC 6455, section 1.3.
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// webSocketLife bounds a connection, so that none outlives a test.
const webSocketLife = time.Minute

// echoWebSocket takes the upgrade and sends back every byte that comes: enough to see that a proxy passes both
// directions, not a WebSocket server (whose own frames would be unmasked).
func echoWebSocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	hijacker, ok := w.(http.Hijacker)
	if key == "" || !ok || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "want a WebSocket upgrade over HTTP/1.1", http.StatusUpgradeRequired)
		return
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Sec-WebSocket-Accept", AcceptWebSocket(key))
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return // the client has gone
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(webSocketLife)); err != nil {
		return
	}
	_, _ = io.Copy(conn, buffered) // ends when the client does
}

// AcceptWebSocket is the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key. RFC 6455 asks for SHA-1; nothing is kept safe by it.
func AcceptWebSocket(key string) string {
	sum := sha1.Sum([]byte(key + webSocketGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}
