// Package kubetest starts real Kubernetes API servers for tests, breaks them,
// and stands between them and who asks them.
//
// It knows etcd, kube-apiserver and kube-controller-manager (what `make kube` builds), and what a kubelet would write; it knows nothing of
// podway. Nothing runs Pods here: a test writes their status itself. All listens on addresses of
// this machine. Import it as
//
//	kubetest "github.com/podway/podway/test/kube"
//
// Methods that take no testing.TB fail the test that their Cluster was started with, which ends the goroutine that called
// them. A goroutine that must go on in the face of an API server that is away uses Client instead.
package kubetest
