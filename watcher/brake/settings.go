package brake

import (
	"time"

	"github.com/podway/podway/api/v1alpha1"
)

// Settings say when a hold begins and for how long it may last. A zero field stands for its default.
type Settings struct {
	// Percent of a tunnel's Pods in a cluster: when more lose readiness within the Window, they are held. 1 to 100, 70 by default; 100 switches
	// the brake off, for more cannot be lost.
	Percent int
	// MinPods is the least number of Pods that must have lost readiness, from 1, 10 by default.
	MinPods int
	// Window in which losses are counted together, 10 s by default.
	Window time.Duration
	// Limit after which a hold ends whatever the Pods say, 10 min by default.
	Limit time.Duration
}

// Defaults are the Settings where nobody says otherwise.
var Defaults = Settings{Percent: 70, MinPods: 10, Window: 10 * time.Second, Limit: 10 * time.Minute}

// Of reads a MemberCluster's spec.brake, which may be nil. What it leaves open, or what validation would refuse, is zero.
func Of(brake *v1alpha1.Brake) Settings {
	var settings Settings
	if brake == nil {
		return settings
	}
	if brake.Percent != nil {
		settings.Percent = int(*brake.Percent)
	}
	if brake.MinPods != nil {
		settings.MinPods = int(*brake.MinPods)
	}
	if brake.Limit != nil {
		settings.Limit, _ = v1alpha1.ParseDuration(*brake.Limit) // 0 where it is not one
	}
	return settings
}

// or fills what is not set from the defaults.
func (s Settings) or(defaults Settings) Settings {
	if s.Percent <= 0 {
		s.Percent = defaults.Percent
	}
	if s.MinPods <= 0 {
		s.MinPods = defaults.MinPods
	}
	if s.Window <= 0 {
		s.Window = defaults.Window
	}
	if s.Limit <= 0 {
		s.Limit = defaults.Limit
	}
	return s
}

func (s Settings) off() bool { return s.Percent >= 100 }

// enough is the least number of Pods that must be ready beside the lost ones for these to be no more than the share.
func (s Settings) enough(lost int) int { return (100*lost+s.Percent-1)/s.Percent - lost }
