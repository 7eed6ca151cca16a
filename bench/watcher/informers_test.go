package watcher

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
)

const protobuf = "application/vnd.kubernetes.protobuf"

// clusterInformers is the plain way: what client-go has for everybody, with protobuf and without any transformation. It returns once all has been
// listed, with what must be kept alive.
func clusterInformers(t *testing.T, as role) (keep func()) {
	ctx := t.Context()
	var kept []any
	var group sync.WaitGroup
	for _, address := range as.Addresses {
		config := &rest.Config{Host: "https://" + address, TLSClientConfig: rest.TLSClientConfig{CAData: as.CA}, QPS: -1}
		config.ContentType, config.AcceptContentTypes = protobuf, protobuf
		client, err := kubernetes.NewForConfig(config)
		require.NoError(t, err)
		factory := informers.NewSharedInformerFactory(client, 0)
		factory.Core().V1().Services().Informer()
		factory.Discovery().V1().EndpointSlices().Informer()
		if as.WholePods {
			factory.Core().V1().Pods().Informer()
		}
		factory.Start(ctx.Done())
		kept = append(kept, factory)
		group.Go(func() { factory.WaitForCacheSync(ctx.Done()) })
		if !as.Pods {
			continue
		}
		meta, err := metadata.NewForConfig(config)
		require.NoError(t, err)
		podFactory := metadatainformer.NewSharedInformerFactory(meta, 0)
		podFactory.ForResource(corev1.SchemeGroupVersion.WithResource("pods")).Informer()
		podFactory.Start(ctx.Done())
		kept = append(kept, podFactory)
		group.Go(func() { podFactory.WaitForCacheSync(ctx.Done()) })
	}
	group.Wait()
	// What is measured is what they hold, not what the garbage collector has not got to yet.
	runtime.GC()
	debug.FreeOSMemory()
	return func() { runtime.KeepAlive(kept) }
}
