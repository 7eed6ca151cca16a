package translator

import (
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api/v1alpha1"
)

const corsFilter = "envoy.filters.http.cors"

// connectionManager is Envoy's HTTP side of a listener, set as Envoy's guide to edge proxies asks for.
func (f *front) connectionManager(statPrefix, routes string) []*listenerv3.Filter {
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:     statPrefix,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: routes, ConfigSource: ads()}},
		HttpFilters: []*hcmv3.HttpFilter{
			httpFilter(corsFilter, &corsv3.Cors{}),
			httpFilter("envoy.filters.http.router", &routerv3.Router{}),
		},
		UseRemoteAddress:  wrapperspb.Bool(true),
		XffNumTrustedHops: uint32(f.params.TrustedProxyHops),
		NormalizePath:     wrapperspb.Bool(true),
		// An escaped slash that a Pod decodes would reach what a route's prefix was meant to keep apart. Kept as it is,
		// it is matched as it is: a redirect or a refusal would break the APIs that use it for what it is.
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout: durationpb.New(time.Hour),
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:        wrapperspb.UInt32(100),
			InitialStreamWindowSize:     wrapperspb.UInt32(64 << 10),
			InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
		},
		StreamIdleTimeout:     durationpb.New(5 * time.Minute),
		RequestHeadersTimeout: durationpb.New(time.Minute),
		UpgradeConfigs:        []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		AccessLog:             f.accessLog(),
	}
	return []*listenerv3.Filter{{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(manager)},
	}}
}

// accessLogFields are the keys of a line, and what Envoy puts there.
var accessLogFields = map[string]string{
	"start_time":            "%START_TIME%",
	"method":                "%REQ(:METHOD)%",
	"path":                  "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
	"authority":             "%REQ(:AUTHORITY)%",
	"protocol":              "%PROTOCOL%",
	"status":                "%RESPONSE_CODE%",
	"response_flags":        "%RESPONSE_FLAGS%",
	"response_code_details": "%RESPONSE_CODE_DETAILS%",
	"bytes_received":        "%BYTES_RECEIVED%",
	"bytes_sent":            "%BYTES_SENT%",
	"duration":              "%DURATION%",
	"client":                "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
	"user_agent":            "%REQ(USER-AGENT)%",
	"request_id":            "%REQ(X-REQUEST-ID)%",
	"x_forwarded_for":       "%REQ(X-FORWARDED-FOR)%",
	"route":                 "%ROUTE_NAME%",
	"attempts":              "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
	"tunnel":                "%CLUSTER_METADATA(podway:tunnel)%",
	"cluster":               "%UPSTREAM_METADATA(podway:cluster)%",
	"namespace":             "%UPSTREAM_METADATA(podway:namespace)%",
	"pod":                   "%UPSTREAM_METADATA(podway:pod)%",
	"upstream":              "%UPSTREAM_HOST%",
	"upstream_failure":      "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}

const accessLogText = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% " +
	"%BYTES_RECEIVED% %BYTES_SENT% %DURATION% \"%REQ(:AUTHORITY)%\" %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(X-REQUEST-ID)% " +
	"%CLUSTER_METADATA(podway:tunnel)% %UPSTREAM_METADATA(podway:cluster)%/%UPSTREAM_METADATA(podway:namespace)%/%UPSTREAM_METADATA(podway:pod)% %UPSTREAM_HOST%\n"

func (f *front) accessLog() []*accesslogv3.AccessLog {
	config := orDefault(f.params.AccessLog, v1alpha1.AccessLog{})
	if config.Disabled {
		return nil
	}
	file := &filev3.FileAccessLog{Path: config.Path}
	if file.Path == "" {
		file.Path = "/dev/stdout"
	}
	format := &corev3.SubstitutionFormatString{OmitEmptyValues: true}
	if config.Format == v1alpha1.AccessLogText {
		format.OmitEmptyValues = false
		format.Format = &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: accessLogText},
		}}
	} else {
		fields := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for key, value := range accessLogFields {
			fields.Fields[key] = structpb.NewStringValue(value)
		}
		format.Format = &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: fields}
	}
	file.AccessLogFormat = &filev3.FileAccessLog_LogFormat{LogFormat: format}
	return []*accesslogv3.AccessLog{{
		Name:       "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: pack(file)},
	}}
}

func httpFilter(name string, config proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(config)}}
}

func listenerFilter(name string, config proto.Message) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{Name: name, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: pack(config)}}
}
