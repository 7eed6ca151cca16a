// Package controlplane joins the parts of podway to a control plane that runs: what watchers learn goes through the translator to the xDS server, what
// Envoys reject comes back, and the admin interface tells of all of it. It knows no command line, and what any part knows by itself is that part's.
package controlplane
