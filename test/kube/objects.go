package kubetest

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Object is one of any kind that client-go knows.
type Object interface {
	runtime.Object
	metav1.Object
}

// writers is how many calls at once create or delete many objects of one kind.
const writers = 16

// Create creates objects, each as the API server then has it. Objects of one kind that follow each other may be created in any order.
func (c *Cluster) Create(objects ...Object) {
	c.t.Helper()
	c.each("creating", objects, c.create)
}

// Delete deletes objects at once, without a grace period. One that is not there is an error.
func (c *Cluster) Delete(objects ...Object) {
	c.t.Helper()
	c.each("deleting", objects, func(ctx context.Context, o Object) error {
		now := int64(0)
		return c.delete(ctx, o, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
}

// Update writes objects over what is there, whatever version that has.
func (c *Cluster) Update(objects ...Object) {
	c.t.Helper()
	c.each("updating", objects, func(ctx context.Context, o Object) error {
		o.SetResourceVersion("")
		return c.put(ctx, o, "")
	})
}

// UpdateStatus is Update for what is below status.
func (c *Cluster) UpdateStatus(objects ...Object) {
	c.t.Helper()
	c.each("updating the status of", objects, func(ctx context.Context, o Object) error {
		o.SetResourceVersion("")
		return c.put(ctx, o, "status")
	})
}

// Get reads the object of the same kind, namespace and name into object.
func (c *Cluster) Get(object Object) {
	c.t.Helper()
	c.each("reading", []Object{object}, c.get)
}

// each does something to each object, those of one kind side by side.
func (c *Cluster) each(doing string, objects []Object, do func(context.Context, Object) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), callLimit+time.Duration(len(objects))*20*time.Millisecond)
	defer cancel()
	for len(objects) > 0 {
		same := 1
		for same < len(objects) && reflect.TypeOf(objects[same]) == reflect.TypeOf(objects[0]) {
			same++
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(writers)
		for _, object := range objects[:same] {
			group.Go(func() error {
				if err := do(ctx, object); err != nil {
					return fmt.Errorf("%s %T %s/%s: %w", doing, object, object.GetNamespace(), object.GetName(), err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			c.t.Fatalf("%s: %v", c.Name, err)
		}
		objects = objects[same:]
	}
}

func (c *Cluster) create(ctx context.Context, object Object) error {
	client, resource, err := c.resource(object)
	if err != nil {
		return err
	}
	object.SetResourceVersion("") // it may be a copy of one of another cluster
	object.SetUID("")
	return into(object, client.Post().NamespaceIfScoped(object.GetNamespace(), object.GetNamespace() != "").Resource(resource).Body(object).Do(ctx))
}

func (c *Cluster) put(ctx context.Context, object Object, subresource string) error {
	client, resource, err := c.resource(object)
	if err != nil {
		return err
	}
	request := named(client.Put(), resource, object)
	if subresource != "" {
		request = request.SubResource(subresource)
	}
	return into(object, request.Body(object).Do(ctx))
}

func (c *Cluster) get(ctx context.Context, object Object) error {
	client, resource, err := c.resource(object)
	if err != nil {
		return err
	}
	return into(object, named(client.Get(), resource, object).Do(ctx))
}

func (c *Cluster) delete(ctx context.Context, object Object, options metav1.DeleteOptions) error {
	client, resource, err := c.resource(object)
	if err != nil {
		return err
	}
	return named(client.Delete(), resource, object).Body(&options).Do(ctx).Error()
}

func named(request *rest.Request, resource string, object Object) *rest.Request {
	return request.NamespaceIfScoped(object.GetNamespace(), object.GetNamespace() != "").Resource(resource).Name(object.GetName())
}

// into makes object what the API server answered, and nothing of what it was.
func into(object Object, result rest.Result) error {
	fresh := reflect.New(reflect.TypeOf(object).Elem())
	if err := result.Into(fresh.Interface().(runtime.Object)); err != nil {
		return err
	}
	reflect.ValueOf(object).Elem().Set(fresh.Elem())
	return nil
}

// resource is the client for an object's group and version, and what its kind is called in a path.
func (c *Cluster) resource(object Object) (*rest.RESTClient, string, error) {
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		return nil, "", err
	}
	plural, _ := meta.UnsafeGuessKindToResource(kinds[0])
	client, err := c.reached().of(kinds[0].GroupVersion())
	return client, plural.Resource, err
}

// of is the client for a group and version, made once.
func (a *access) of(version schema.GroupVersion) (*rest.RESTClient, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if client := a.rest[version]; client != nil {
		return client, nil
	}
	config := rest.CopyConfig(a.config)
	config.GroupVersion, config.NegotiatedSerializer = &version, scheme.Codecs.WithoutConversion()
	config.ContentType = runtime.ContentTypeProtobuf
	config.APIPath = "/apis"
	if version.Group == corev1.GroupName {
		config.APIPath = "/api"
	}
	client, err := rest.RESTClientForConfigAndClient(config, a.http)
	if err != nil {
		return nil, err
	}
	a.rest[version] = client
	return client, nil
}

// Modify reads an object anew, changes it, and writes it, again and again as long as somebody else is faster.
func Modify[T Object](c *Cluster, object T, change func(T)) {
	c.t.Helper()
	c.each("changing", []Object{object}, func(ctx context.Context, _ Object) error {
		for {
			if err := c.get(ctx, object); err != nil {
				return err
			}
			change(object)
			if err := c.put(ctx, object, ""); !apierrors.IsConflict(err) || ctx.Err() != nil {
				return err
			}
		}
	})
}
