package credential

import (
	"slices"
	"strings"
	"testing"
)

const (
	fromFile   = "error InvalidKubeconfig: MemberCluster east spec.source.kubeconfig.file: "
	authorized = "use a token of a ServiceAccount: podway clusters authorize east --kubeconfig ADMIN"
	flatten    = "; put what is in it into the kubeconfig: kubectl config view --raw --flatten, or use podway clusters authorize east --kubeconfig ADMIN"
)

// refusals are kubeconfigs that are refused wherever they come from, each with all that is said of a file.
var refusals = []struct{ name, text, want string }{
	{
		"Exec", kubeconfig(plainServer, "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: ["+secretWord+"], interactiveMode: Never}"),
		fromFile + "the kubeconfig runs a program for its user (exec), which podway does not; " + authorized + " takes this kubeconfig as ADMIN and makes one",
	},
	{
		"AuthProvider", kubeconfig(plainServer, "auth-provider: {name: oidc, config: {refresh-token: "+secretWord+"}}"),
		fromFile + "the kubeconfig has an auth-provider for its user, which podway does not have; " + authorized + " takes this kubeconfig as ADMIN and makes one",
	},
	{
		"CAFile", kubeconfig(plainServer+", certificate-authority: /etc/ca.crt", plainUser),
		fromFile + "the kubeconfig has a path to another file in certificate-authority" + flatten,
	},
	{
		"ClientCertificateFile", kubeconfig(plainServer, "client-certificate: /etc/tls.crt, token: "+secretWord),
		fromFile + "the kubeconfig has a path to another file in client-certificate" + flatten,
	},
	{
		"ClientKeyFile", kubeconfig(plainServer, "client-key: /etc/tls.key, token: "+secretWord),
		fromFile + "the kubeconfig has a path to another file in client-key" + flatten,
	},
	{
		"TokenFile", kubeconfig(plainServer, "tokenFile: /var/run/secrets/token"),
		fromFile + "the kubeconfig has a path to another file in tokenFile" + flatten,
	},
	{
		"NoContext", strings.Replace(kubeconfig(plainServer, plainUser), "current-context: main\n", "", 1),
		fromFile + "the kubeconfig has no current-context; name one of the contexts: kubectl config use-context",
	},
	{"Empty", "", fromFile + "the kubeconfig has no current-context; name one of the contexts: kubectl config use-context"},
	{
		"OtherContext", strings.Replace(kubeconfig(plainServer, plainUser), "current-context: main\n", "current-context: spare\n", 1),
		fromFile + `the kubeconfig's current-context "spare" is none of its contexts; name one of the contexts: kubectl config use-context`,
	},
	{
		"OtherCluster", strings.Replace(kubeconfig(plainServer, plainUser), "cluster: east,", "cluster: west,", 1),
		fromFile + `the context "main" names the cluster "west", which the kubeconfig does not have; correct the context, or name another one as current-context`,
	},
	{
		"OtherUser", strings.Replace(kubeconfig(plainServer, plainUser), "user: podway}", "user: nobody}", 1),
		fromFile + `the context "main" names the user "nobody", which the kubeconfig does not have; correct the context, or name another one as current-context`,
	},
	{"NoServer", kubeconfig("tls-server-name: east", plainUser), fromFile + "the kubeconfig's cluster has no server; set the server to https://HOST:PORT"},
	{"NoURL", kubeconfig("server: '192.0.2.1:6443'", plainUser), fromFile + "the kubeconfig's server is no URL; set the server to https://HOST:PORT"},
	{"NoHost", kubeconfig("server: 'https://'", plainUser), fromFile + "the kubeconfig's server names no host; set the server to https://HOST:PORT"},
	{"OtherScheme", kubeconfig("server: 'ftp://127.0.0.1'", plainUser), fromFile + "the kubeconfig's server is not https; set the server to https://HOST:PORT"},
	{
		"HTTP", kubeconfig("server: 'http://192.0.2.1:8080'", plainUser),
		fromFile + "the kubeconfig's server is not https, which only a loopback address may do without; set the server to https://HOST:PORT",
	},
	{
		"Query", kubeconfig("server: 'https://192.0.2.1:6443/?token="+secretWord+"'", plainUser),
		fromFile + "the kubeconfig's server has a query or a fragment in its URL; set the server to https://HOST:PORT",
	},
	{
		"UserInfo", kubeconfig("server: 'https://admin:"+secretWord+"@192.0.2.1:6443'", plainUser),
		fromFile + "the kubeconfig's server has a user or a password in its URL; remove what is before the @, and use a token or a client certificate",
	},
	{
		"Proxy", kubeconfig(plainServer+", proxy-url: 'ftp://user:"+secretWord+"@192.0.2.9'", plainUser),
		fromFile + "the kubeconfig's proxy-url is no URL of a proxy; set it to http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, or remove it",
	},
	{
		"BasicAuth", kubeconfig(plainServer, "username: admin, password: "+secretWord),
		fromFile + "the kubeconfig has a user name or a password, which no API server takes any more; " + authorized,
	},
	{
		"Impersonation", kubeconfig(plainServer, plainUser+", as: admin"),
		fromFile + "the kubeconfig impersonates another user (as), which needs more rights than podway should have; " + authorized,
	},
	{"Nobody", kubeconfig(plainServer, ""), fromFile + "the kubeconfig's user has neither a token nor a client certificate; " + authorized},
	{
		"CA", kubeconfig(plainServer+", certificate-authority-data: "+b64(secretWord), plainUser),
		fromFile + "the kubeconfig's certificate-authority-data holds no certificate that can be read; put the cluster's CA there: PEM, in base64",
	},
	{
		"Certificate", kubeconfig(plainServer, "client-certificate-data: "+b64(secretWord)+", client-key-data: "+b64(secretWord)),
		fromFile + "the kubeconfig's client-certificate-data holds no certificate that can be read; put the certificate and its key there: PEM, in base64",
	},
	{
		"Token", kubeconfig(plainServer, `token: "`+secretWord+`\n`+secretWord+`"`),
		fromFile + "the kubeconfig's token has characters that no token has; put the token there in one line",
	},
	{
		"ExpiredToken", kubeconfig(plainServer, "token: "+token(map[string]any{"exp": 1600000000})),
		"error CredentialExpired: MemberCluster east spec.source.kubeconfig.file: the kubeconfig's token has expired at 2020-09-13T12:26:40Z; make a new one: podway clusters authorize east --kubeconfig ADMIN",
	},
	{
		"YAML", "a: [" + secretWord + "\nb: c\n",
		fromFile + "the kubeconfig cannot be read: it is no YAML near line 1; write it anew: kubectl config view --raw --minify --flatten",
	},
	{
		"Kind", "apiVersion: v1\nkind: Secret\nmetadata: {name: " + secretWord + "}\n",
		fromFile + "the kubeconfig cannot be read: it is not of apiVersion v1 and kind Config; write it anew: kubectl config view --raw --minify --flatten",
	},
	{
		"WrongType", strings.ReplaceAll(kubeconfig(plainServer, "token: 12345"), "12345", "{a: "+secretWord+"}"),
		fromFile + "the kubeconfig cannot be read: users.user.token is not of the type that it must be; write it anew: kubectl config view --raw --minify --flatten",
	},
	{
		"NotBase64", kubeconfig(plainServer, "client-key-data: '!"+secretWord+"'"),
		fromFile + "the kubeconfig cannot be read: it is no YAML of a kubeconfig; write it anew: kubectl config view --raw --minify --flatten",
	},
	{
		"TwoUsers", kubeconfig(plainServer, plainUser) + "- {name: podway, user: {token: " + secretWord + "}}\n",
		fromFile + "the kubeconfig cannot be read: two of its clusters, users or contexts have one name; write it anew: kubectl config view --raw --minify --flatten",
	},
	{
		"TooLarge", "# " + strings.Repeat("x", MaxBytes),
		"error TooLarge: MemberCluster east spec.source.kubeconfig.file: the kubeconfig has 1048578 bytes, but may have 1048576; keep one context in it: kubectl config view --raw --minify --flatten",
	},
}

func TestRefused(t *testing.T) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			if got := said(t, test.text, FromFile); !slices.Equal(got, []string{test.want}) {
				t.Errorf("from a file:\n%s\nwant:\n%s", strings.Join(got, "\n"), test.want)
			}
			if got := said(t, test.text, FromSecret); len(got) != 1 || !strings.Contains(got[0], "spec.source.kubeconfig.secretRef") {
				t.Errorf("from a Secret:\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

func TestClientCertificateThatCannotBe(t *testing.T) {
	user := func(p pair, key string) string {
		return "client-certificate-data: " + b64(p.certificate) + ", client-key-data: " + b64(key)
	}
	mismatch := fromFile + "the kubeconfig's client-key-data is not the private key of its client-certificate-data, or is encrypted; put the certificate and its key there: PEM, in base64"
	for name, test := range map[string]struct{ user, want string }{
		"MismatchedKey": {user(good(), other().key), mismatch},
		"NoKey":         {user(good(), ""), mismatch},
		"KeyIsNoPEM":    {user(good(), secretWord), mismatch},
		"Expired": {
			user(expired(), expired().key),
			"error CredentialExpired: MemberCluster east spec.source.kubeconfig.file: the kubeconfig's client certificate has expired at 2020-01-02T03:04:05Z; make a new one: podway clusters authorize east --kubeconfig ADMIN",
		},
	} {
		if got := said(t, kubeconfig(plainServer, test.user), FromFile); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, strings.Join(got, "\n"), test.want)
		}
	}
}

// What a file may, but a Secret may not.
func TestFileMayMoreThanSecret(t *testing.T) {
	const fromSecret = "error InvalidKubeconfig: MemberCluster east spec.source.kubeconfig.secretRef: "
	const remedy = "; put the cluster's CA into certificate-authority-data and remove insecure-skip-tls-verify"
	for name, test := range map[string]struct {
		text             string
		inFile, inSecret []string
	}{
		"SkipTLSVerify": {
			kubeconfig(plainServer+", insecure-skip-tls-verify: true", plainUser),
			[]string{"warning InsecureKubeconfig: MemberCluster east spec.source.kubeconfig.file: the kubeconfig skips TLS verification: whoever is on the way to the cluster can pass for it, and has the token" + remedy},
			[]string{fromSecret + "the kubeconfig skips TLS verification, which one from a Secret may not" + remedy},
		},
		"SkipTLSVerifyWithCA": {
			kubeconfig(plainServer+", insecure-skip-tls-verify: true, certificate-authority-data: "+b64(good().certificate), plainUser),
			[]string{fromFile + "the kubeconfig has a certificate-authority-data, but skips TLS verification; remove insecure-skip-tls-verify"},
			[]string{fromSecret + "the kubeconfig skips TLS verification, which one from a Secret may not" + remedy},
		},
		"LoopbackHTTP": {
			kubeconfig("server: 'http://127.0.0.1:8001'", ""), nil,
			[]string{fromSecret + "the kubeconfig's server is not https; set the server to https://HOST:PORT"},
		},
		"LocalhostHTTP": {
			kubeconfig("server: 'http://localhost:8001'", ""), nil,
			[]string{fromSecret + "the kubeconfig's server is not https; set the server to https://HOST:PORT"},
		},
		"LoopbackHTTPv6": {
			kubeconfig("server: 'http://[::1]:8001'", ""), nil,
			[]string{fromSecret + "the kubeconfig's server is not https; set the server to https://HOST:PORT"},
		},
	} {
		if got := said(t, test.text, FromFile); !slices.Equal(got, test.inFile) {
			t.Errorf("%s from a file:\n%s", name, strings.Join(got, "\n"))
		}
		if got := said(t, test.text, FromSecret); !slices.Equal(got, test.inSecret) {
			t.Errorf("%s from a Secret:\n%s", name, strings.Join(got, "\n"))
		}
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	got := said(t, kubeconfig("server: 'http://192.0.2.1', certificate-authority: /ca", "tokenFile: /token, as: admin"), FromFile)
	if len(got) != 4 {
		t.Errorf("%d problems, want 4:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestOnlyTheCurrentContextMatters(t *testing.T) {
	text := kubeconfig(plainServer, plainUser) + "- {name: admin, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}}}\n"
	if got := said(t, text, FromSecret); got != nil {
		t.Errorf("problems: %s", strings.Join(got, "\n"))
	}
}

func TestUnknownFieldsAreNoMistake(t *testing.T) {
	text := "preferences: {colors: true}\nnew-in-2030: {}\n" + kubeconfig(plainServer+", new: 1", plainUser+", new: 2")
	if got := said(t, text, FromSecret); got != nil {
		t.Errorf("problems: %s", strings.Join(got, "\n"))
	}
}
