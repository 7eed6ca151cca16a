// Package brake decides when Pods that lost readiness without being deleted stay in a tunnel. Where many Pods of one cluster do so at once
// (a lost node, a broken probe, a failing dependency), taking them all out would turn a half-truth into an outage: they are held in the
// tunnel as they were, and Envoy's own health checks decide. A Pod that is deleted is never held.
//
// The package knows which tunnel uses which Pods, and each Service's latest Set. It knows neither where these come from nor what is made of
// them. One lock guards all of it.
package brake
