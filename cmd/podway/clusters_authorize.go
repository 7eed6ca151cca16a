package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podway/podway/watcher/access"
)

// authorizeFlags are those of podway clusters authorize.
type authorizeFlags struct {
	*adminFlags
	directory, network string
	allowFrom          []string
	dryRun             bool
}

func newAuthorizeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "authorize NAME --kubeconfig ADMIN --config DIR",
		Short: "Let podway read a member cluster",
		Long: `Make, in a member cluster, a ServiceAccount with the least roles that suffice: to read Services,
EndpointSlices and Pods of the namespaces that you name, or of all; to see which cluster it
is; and to renew its own token. Then write into the configuration directory a MemberCluster
and a kubeconfig with a token of bounded lifetime, which podway renews by itself.

Nothing is allowed by default: name with --allow-from the namespaces of the tunnels that may
use the cluster, or write allowedTunnels yourself. Run it again to change the namespaces or to
get a new token: what is no longer wanted is removed, and a MemberCluster that you have
changed is left as it is.`,
		Example: `  podway clusters authorize east --kubeconfig admin.kubeconfig --config ./config \
    --namespaces shop,cart --allow-from edge

  # Read the manifests first, or apply them yourself:
  podway clusters authorize east --namespaces shop --dry-run > east.yaml`,
		Args:              oneCluster,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := &authorizeFlags{adminFlags: addAdminFlags(cmd)}
	flags := cmd.Flags()
	flags.StringVar(&f.directory, "config", "", "`DIR` of the configuration, for the MemberCluster and its kubeconfig (required, unless --dry-run)")
	flags.StringSliceVar(&f.options.Namespaces, "namespaces", nil, "`NAMESPACE,...` of the cluster that podway may read (default all of them)")
	flags.StringSliceVar(&f.allowFrom, "allow-from", nil, "`NAMESPACE,...` of tunnels that may use the cluster, * for all (default none)")
	flags.StringVar(&f.network, "network", "", "`NAME` of the network that the cluster's Pods are reachable on (default any)")
	flags.DurationVar(&f.options.TokenLifetime, "token-lifetime", access.DefaultTokenLifetime,
		"`DURATION` of the token, 10m to 8760h; an API server may give less")
	flags.StringVar(&f.options.Server, "server", "", "`URL` that podway is to reach the API server by (default the administrator's)")
	flags.BoolVar(&f.options.Force, "force", false, "overwrite files of yours, and take over what others have set in the roles")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the manifests, and do nothing else")
	completeDirectory(cmd)
	for _, name := range []string{"namespaces", "allow-from", "network", "token-lifetime", "server"} {
		complete(cmd, name)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.options.Cluster = args[0]
		return f.run(cmd)
	}
	return cmd
}

func (f *authorizeFlags) run(cmd *cobra.Command) error {
	manifests, err := access.Manifests(f.options)
	if err != nil {
		return usageError{err}
	}
	for _, name := range f.allowFrom {
		if name != "*" && len(validation.IsDNS1123Label(name)) > 0 {
			return usagef("--allow-from %q: want the names of namespaces, or * for all", name)
		}
	}
	if f.dryRun {
		text, err := access.YAML(manifests)
		if err != nil {
			return err
		}
		return write(cmd.OutOrStdout(), text)
	}
	if err := requireFlags(cmd, "kubeconfig", "config"); err != nil {
		return err
	}
	files, err := findMemberFiles(f.directory, f.options)
	if err != nil {
		return err
	}
	admin, err := f.config()
	if err != nil {
		return err
	}
	f.options.ClusterUID = files.pinned()
	made, err := access.Authorize(cmd.Context(), admin, f.options)
	var said []string
	if made != nil {
		said = changeLines(made.Changes, false)
	}
	if err != nil {
		if len(said) > 0 {
			said = append(said, fmt.Sprintf("this is all that was done, and it stays: run this again to go on, or podway clusters revoke %s to undo it", f.options.Cluster))
			if err := write(cmd.OutOrStdout(), []byte(strings.Join(said, "\n")+"\n")); err != nil {
				return err
			}
		}
		return fmt.Errorf("authorizing %s: %w", f.options.Cluster, err)
	}
	written, err := files.write(made, f.member(files, made))
	if err != nil {
		return err
	}
	said = append(said, written...)
	said = append(said, f.tokenLine(made))
	return write(cmd.OutOrStdout(), []byte(strings.Join(said, "\n")+"\n"))
}

// member is what the MemberCluster is to be. What is not said anew stays as it was.
func (f *authorizeFlags) member(files *memberFiles, made *access.Access) access.Member {
	out := access.Member{
		Name: f.options.Cluster, Network: f.network, KubeconfigFile: files.kubeconfig, ClusterUID: made.ClusterUID,
		AllowFrom: f.allowFrom, Namespaces: f.options.Namespaces,
	}
	if files.existing == nil {
		return out
	}
	if out.Network == "" {
		out.Network = files.existing.Spec.Network
	}
	if len(out.AllowFrom) == 0 {
		for _, allowed := range files.existing.Spec.AllowedTunnels {
			out.AllowFrom = append(out.AllowFrom, allowed.From...)
		}
	}
	return out
}

// tokenLine says how long the token lasts.
func (f *authorizeFlags) tokenLine(made *access.Access) string {
	if made.Credential.Expires.IsZero() {
		return "the token does not say that it ever expires"
	}
	left := made.Credential.Expires.Sub(made.Credential.IssuedAt)
	line := fmt.Sprintf("the token lasts %s, until %s; podway renews it by itself", access.Spell(left), made.Credential.Expires.UTC().Format(time.RFC3339))
	if _, capped := made.Capped(f.options.TokenLifetime); capped {
		line += fmt.Sprintf(" (%s were asked for; the API server gives no more)", access.Spell(f.options.TokenLifetime))
	}
	return line
}

// changeLines say what was done in a cluster, or would be.
func changeLines(changes []access.Change, dryRun bool) []string {
	var out []string
	for _, change := range changes {
		line := change.Done + " " + change.Object
		if dryRun {
			line = map[string]string{"removed": "would remove", "kept": "would keep"}[change.Done] + " " + change.Object
		}
		if change.Why != "" {
			line += ": " + change.Why
		}
		out = append(out, line)
	}
	return out
}
