// Package holdback is what flows back: what Envoys reject. Rejections tell of it, and Holdbacks find the parts of the configuration that are to blame, one
// HTTPRoute among all that share a RouteConfiguration, so that the translator makes those alone in their last accepted form, and all else goes on
// changing.
//
// Each view is by itself, that of a Gateway's Envoys (holdback). Once one of them rejects a resource, its Envoys are asked for what they say of it
// (verdict). Where most reject it, a search begins for the parts to hold back (trial, first, leaveOut), which ends with those that are guilty, and all others
// let in again. Where most take it, those that do not are a minority, which has a view of its own. What is held back stays so until its part changes, or those that
// rejected it are gone or outvoted, and over a restart of podway.
package holdback
