package xds

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule is something that an xDS server must get right, with the tests that fail where it is not. All of them talk to
// a server over gRPC.
type rule struct {
	says string
	// delta and sotw name the tests of each variant, without Test. Of a rule that concerns one only, the other says why.
	delta, sotw []string
}

// only is why a variant has no test of a rule.
func only(reason string) []string { return []string{"only: " + reason} }

// rules are in three parts: of both variants, of state of the world, and of delta. The protocol's own are in
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol; the others are what Envoy and other servers were seen to do.
var rules = []rule{
	// Both variants.
	{
		"A NACK never counts as an ACK, whatever version it echoes",
		[]string{"NACKIsNotAnACK"},
		[]string{"SotWNACKIsNotAnACK"},
	},
	{
		"One stream carries every type",
		[]string{"DeltaOneStreamCarriesEveryType"},
		[]string{"SotWOneStreamCarriesEveryType"},
	},
	{
		"The node is needed in the first request only, and may be in each",
		[]string{"DeltaNodeIsNeededInTheFirstRequestOnlyAndMayBeInEach", "FirstRequestMustSayWhoAsks", "NodeMustNameAGateway", "NodeMayHoldNoControlCharacters"},
		[]string{"SotWNodeIsNeededInTheFirstRequestOnlyAndMayBeInEach", "SotWFirstRequestMustSayWhoAsks"},
	},
	{
		"A node that changes within a stream gets nothing of another Gateway",
		[]string{"DeltaLaterNodeIsNotBelieved", "EnvoysSeeOnlyTheirOwnGateway"},
		[]string{"SotWLaterNodeIsNotBelieved"},
	},
	{
		"Nothing is answered, and nothing removed, while a Gateway is not known",
		[]string{"NothingIsAnsweredBeforeTheFirstState", "UnknownGatewayIsAnsweredNothingAndWakesWhenItAppears"},
		[]string{"SotWNothingIsAnsweredBeforeTheFirstState", "SotWUnknownGatewayIsAnsweredNothingAndWakesWhenItAppears"},
	},
	{
		"A change goes in the order secrets, clusters, endpoints, listeners, routes",
		[]string{"ChangeGoesSecretsClustersEndpointsListenersRoutes"},
		[]string{"SotWChangeGoesSecretsClustersEndpointsListenersRoutes"},
	},
	{
		"Removals go in reverse, each once what referred to it is acknowledged to be gone",
		[]string{
			"RemovalsGoInReverseOnceNothingRefersToThem", "SecretIsRemovedOnceWhatUsedItIsAcknowledgedWithoutIt",
			"RouteConfigurationIsRemovedOnceItsListenerIsAcknowledgedWithoutIt",
		},
		[]string{"SotWRemovalsGoInReverseOnceNothingRefersToThem"},
	},
	{
		"A route to a new cluster waits for the cluster to be acknowledged",
		[]string{
			"RouteToANewClusterWaitsForItsClusterToBeAcknowledged", "RouteToAClusterWithASecretWaitsForTheClusterNotForItsEndpoints",
			"ListenerWaitsForAClusterThatItNeedsItself", "OldRouteStaysWhileTheNewOneWaitsAndTheRestGoesOn",
		},
		[]string{"SotWRouteToANewClusterWaitsForItsClusterToBeAcknowledged"},
	},
	{
		"or for its endpoints to be, where it needs no health check and no secret",
		[]string{"RouteToANewClusterWaitsForItsEndpointsWhereTheyAreAllItNeeds"},
		[]string{"SotWRouteToANewClusterWaitsForItsEndpointsWhereTheyAreAllItNeeds"},
	},
	{
		"or for a bound, which each cluster has whole, and which counts once",
		[]string{
			"RouteToANewClusterGoesAfterTheBound", "FirstRouteWaitsForItsClustersAndForAShorterBound", "EachNewClusterOfARouteHasTheWholeBound",
			"RouteIsNotHeldBackByAClusterThatTheClientsOwnVersionLeadsTo", "RouteThatChangesAgainAndAgainIsHeldNoLongerThanTheBound",
		},
		[]string{"SotWRouteToANewClusterGoesAfterTheBound", "SotWFirstRouteWaitsForItsClustersAndForAShorterBound"},
	},
	{
		"A cluster is removed once the routes without it are acknowledged",
		[]string{"ClusterIsRemovedOnceTheRouteWithoutItIsAcknowledged", "ClusterIsKeptWhileARejectedRouteLeavesItInUse"},
		[]string{"SotWRemovedClusterStaysInAnswersUntilItMayGo", "SotWClusterIsKeptWhileARejectedRouteLeavesItInUse"},
	},
	{
		"and after a grace",
		[]string{"ClusterIsRemovedAfterTheGrace", "ClusterThatComesBackWithinTheGraceIsNotTouched"},
		[]string{"SotWClusterIsRemovedAfterTheGrace"},
	},
	{
		"Clusters are never held back by the ACK of the last ones; unanswered, they come less often",
		[]string{"ClustersAreNotHeldBackByAnACK", "UnacknowledgedClustersComeLessOftenButCome"},
		[]string{"SotWClustersAreNotHeldBackByAnACK", "SotWUnacknowledgedClustersComeLessOftenButCome"},
	},
	{
		"One version of a name is on its way at a time, and the latest follows",
		[]string{"DeltaOneVersionOfANameIsOnItsWay"},
		[]string{"SotWOneVersionOfANameIsOnItsWay"},
	},
	{
		"What is not acknowledged is bounded, in responses and in bytes",
		[]string{"ClientThatNeverAcknowledgesIsBounded", "WindowIsInBytesToo"},
		[]string{"SotWClientThatNeverAcknowledgesIsBounded", "SotWWindowIsInBytesToo"},
	},
	{
		"What one peer has the server remember of names that no view has is bounded, and no fleet meets the bound",
		[]string{
			"DeltaUnknownNamesOfAPeerAreBounded", "UnknownNamesAddedOneByOneAreBoundedToo", "UnknownNamesThatStreamsOfAPeerShareCountOnce",
			"NamesThatTheViewHasOrHadLatelyAreFree", "UnknownVersionsThatAClientClaimsAreChargedUntilItTakesTheirRemoval",
			"AnAbsentNameIsNotRememberedBesideItsSubscription", "UnknownNamesAreChargedToEachStreamUntilItReadsOfThem",
		},
		[]string{"SotWUnknownNamesOfAPeerAreBounded", "SotWACKThatRepeatsItsNamesIsNotRefusedForThem"},
	},
	{
		"What one peer has the server keep of requests that are not finished is bounded, and a herd with large requests is served in turn",
		[]string{
			"UnfinishedRequestsOfAPeerAreBounded", "LargeRequestWaitsForThoseThatAreNotFinishedAndTheirConnectionEnds",
			"ConnectionOfARequestThatIsNotFinishedEnds", "HerdWithLargeRequestsIsServedInTurn",
		},
		only("the bound is the connection's, whatever is sent on it"),
	},
	{
		"A client that floods its stream with requests is read from later, and not refused",
		[]string{
			"DeltaFloodIsReadLaterAndNotRefused", "RequestWithManyNamesCountsAsSeveral", "FloodOnManyStreamsOfAPeerIsReadLaterAndNotRefused",
			"HerdThatReconnectsIsNotReadLater",
		},
		[]string{"SotWFloodIsReadLaterAndNotRefused"},
	},
	{
		"Changed assignments go singly, for a bad one discards all of its response",
		[]string{"ChangedAssignmentsAreSentSingly", "RouteConfigurationsAreSentSingly"},
		[]string{"SotWChangedAssignmentsAreSentSingly"},
	},
	{
		"The culprit of a rejected batch is found by its name in the message",
		[]string{"RejectedNameInTheMessageIsTheCulpritAndTheOthersAreSentAgain"},
		[]string{"SotWRejectedAssignmentIsFoundByName"},
	},
	{
		"or by halving, and the others are brought up to date",
		[]string{"RejectedAssignmentIsFoundByHalving", "DeltaRejectedClusterIsFoundByHalving"},
		[]string{"SotWRejectedAssignmentIsFoundByHalving", "SotWRejectedClusterIsFoundThoughTheMessageDoesNotNameIt"},
	},
	{
		"Rejected content is not sent again until it changes",
		[]string{
			"RejectedContentIsNotSentAgainUntilItChanges", "DeltaRejectedContentOfAnyTypeIsNotSentAgainUntilItChanges",
			"RejectedContentIsRememberedWhenTheEnvoyConnectsAnew", "DeltaContentRejectedBeforeItsStandInIsNotSentAgain",
			"RejectionIsToldAgainWhereTheContentChangedWhileItsEnvoyWasAway",
		},
		[]string{
			"SotWRejectedContentIsNotSentAgainUntilItChanges", "SotWRejectedClusterKeepsItsLastAcceptedFormInAnswers",
			"SotWContentRejectedBeforeItsStandInIsNotSentAgain",
		},
	},
	{
		"A cluster and a listener wait for the secrets they need",
		[]string{
			"ClusterAndListenerWaitForTheirSecrets", "ClusterDoesNotWaitForASecretThatTheEnvoyRejected",
			"ClusterWaitsForItsSecretNoLongerThanTheBound",
		},
		[]string{"SotWClusterAndListenerWaitForTheirSecrets"},
	},
	{
		"Pings every 15 s are tolerated",
		[]string{"DeltaPingsEvery15sAreTolerated"},
		[]string{"SotWPingsEvery15sAreTolerated"},
	},
	{
		"Endpoints are sent again after a change of their cluster, the same ones too",
		[]string{
			"EndpointsAreSentAgainAfterAChangedCluster", "EndpointsAreSentAgainAfterAChangedClusterThoughTheLastAreNotAcknowledged",
			"EndpointsOfAClusterChangedWhileAwayAreSentThoughCurrent",
		},
		[]string{
			"SotWEndpointsAreSentAgainAfterAChangedCluster", "SotWEndpointsAreSentAgainAfterAChangedClusterThoughTheLastAreNotAcknowledged",
			"SotWEndpointsOfAClusterChangedWhileAwayAreSent",
		},
	},
	{
		"Endpoints asked for are answered as soon as their cluster is known, empty if there are none",
		[]string{
			"EndpointsAreAnsweredEmptyForAClusterWithoutAny", "DeltaEndpointsAskedForEarlyAreAnsweredAsSoonAsTheClusterIsKnown",
			"DeltaLastPodGoneIsAnEmptyAssignmentNotARemoval",
		},
		[]string{"SotWEndpointsAreAnsweredEmptyForAClusterWithoutAny", "SotWLastPodGoneIsAnEmptyAssignment"},
	},
	{
		"Endpoints that lack what is not known yet do not replace those that a client has",
		[]string{
			"PartialEndpointsAreNotSentToWhoHasSome", "PartialEndpointsDoNotReplaceWholeOnesOnAStream",
			"EndpointsOfAReconnectedClientAreKeptWhileTheViewHasNone",
		},
		[]string{
			"PartialEndpointsAreNotSentToAStateOfTheWorldClientThatWasServedBefore", "SotWPartialEndpointsDoNotReplaceWholeOnesOnAStream",
		},
	},
	{
		"and go to a client that has none",
		[]string{"PartialEndpointsAreSentToWhoHasNone"},
		[]string{"SotWPartialEndpointsAreSentToWhoHasNone"},
	},
	{
		"A changed cluster is held back whose endpoints are, for it would warm without them",
		[]string{
			"PartialEndpointsHoldBackAChangeOfTheirCluster", "RejectedEndpointsHoldBackAChangeOfTheirCluster",
			"RejectedEndpointsHoldBackAChangeOfTheirClusterOfAReconnectedClient",
		},
		[]string{"SotWPartialEndpointsHoldBackAChangeOfTheirCluster"},
	},
	{
		"Versions are hashes of the content, equal on all replicas: an Envoy that moves is sent nothing",
		[]string{"DeltaVersionIsAHashOfTheContent", "DeltaEveryTypeTellsItsSystemVersion", "DeltaEnvoyThatMovesIsSentNothingOfAnyType", "ReplicasServeTheSameVersions"},
		[]string{"SotWEnvoyThatMovesIsAnsweredForNamedTypesOnly"},
	},
	{
		"A publish that changes nothing sends nothing",
		[]string{"PublishThatChangesNothingSendsNothingOfAnyType", "DeltaPublishThatChangesNothingSendsNothing"},
		[]string{"PublishThatChangesNothingSendsNothingOfAnyType"},
	},
	{
		"A client that does not read is owed the latest state, costs bounded memory, and delays nobody",
		[]string{
			"DeltaClientThatNeverReadsIsOwedTheLatestAndDelaysNobody", "ClientThatNeverReadsHoldsUpNobody",
			"HundredStreamsThatNeitherReadNorAcknowledgeDelayNobody",
		},
		[]string{
			"SotWClientThatNeverReadsIsOwedTheLatestAndDelaysNobody", "HundredStreamsThatNeitherReadNorAcknowledgeDelayNobody",
		},
	},
	{
		"A client that is further behind than changes are remembered catches up",
		[]string{"StreamThatFallsOffTheLogCatchesUp"},
		[]string{"SotWClientThatFallsOffTheLogLosesNoCluster"},
	},
	{
		"A client that opens a hundred streams leaves nothing behind",
		[]string{"HundredStreamsLeaveNothingBehind", "StreamsAreLimited"},
		[]string{"SotWHundredStreamsLeaveNothingBehind"},
	},
	{
		"A herd that reconnects is sent what it lacks only, and nothing is removed for being unknown yet",
		[]string{"DeltaHerdThatReconnectsIsSentNothing"},
		[]string{"SotWHerdThatReconnectsIsSentWhatItMust"},
	},
	{
		"Each type has a service of its own too, on whose streams a request needs no type",
		[]string{"DeltaEachTypeHasAServiceOfItsOwn", "DeltaStreamOfOneTypeRefusesAnother"},
		[]string{"SotWEachTypeHasAServiceOfItsOwn", "SotWStreamOfOneTypeRefusesAnother"},
	},
	{
		"A client that has nothing more to ask is answered, and its stream ends well",
		[]string{"DeltaHalfClosedStreamIsAnsweredAndEndsWell"},
		[]string{"SotWHalfClosedStreamIsAnsweredAndEndsWell"},
	},
	{
		"Compressed requests are understood, and answered likewise",
		[]string{"DeltaCompressedRequestsAreUnderstood"},
		[]string{"SotWCompressedRequestsAreUnderstood"},
	},
	{
		"A type that is not served does not end the stream",
		[]string{"DeltaUnservedTypeIsToldAndTheStreamLives", "DeltaWildcardOfAnUnservedTypeIsNotAnswered"},
		[]string{"SotWUnservedTypeIsNotAnsweredAndTheStreamLives", "SotWUnservedTypeWithAWildcardIsNotAnsweredAndTheStreamLives"},
	},
	{
		"Oversized requests are refused with the limit",
		[]string{
			"OversizedRequestsAreRefused", "LongTypeIsRefused", "WhatIsRememberedOfANodeIsLimited", "StreamMayNotAskForAnyNumberOfTypes",
			"SubscriptionsAreLimitedInBytes", "HeadersAreLimited",
		},
		[]string{"SotWOversizedRequestsAreRefused", "LongTypeIsRefused", "SotWStreamMayNotAskForAnyNumberOfTypes"},
	},
	{
		"Malformed requests end their own stream and no other",
		[]string{"RequestThatIsNoRequestEndsItsStreamOnly", "RequestMustHaveAType", "StreamThatSaysNothingIsEnded"},
		[]string{"RequestThatIsNoRequestEndsItsStreamOnly", "SotWRequestMustHaveAType", "StreamThatSaysNothingIsEnded"},
	},
	{
		"Responses are split below the 4 MiB that clients accept",
		[]string{
			"DeltaResponsesStayBelowWhatClientsAccept", "ResponsesAreSplit", "RemovalsAreSplit", "WhatIsSentAgainAfterANACKIsSplit",
			"NamesOfAnUnservedTypeAreToldInSmallResponses",
		},
		[]string{"SotWResponsesStayBelowWhatClientsAccept"},
	},
	{
		"A first request without names is the legacy wildcard, for clusters and listeners",
		[]string{"DeltaLegacyWildcardIsAnEmptyFirstSubscription", "DeltaNoNamesIsNoWildcardForNamedTypes", "DeltaListenersHaveBothWildcards"},
		[]string{"SotWLegacyWildcardIsAnEmptyFirstRequest", "SotWNoNamesIsNoWildcardForNamedTypes", "SotWListenersHaveBothWildcards"},
	},
	{
		"An asterisk is the explicit wildcard",
		[]string{"DeltaExplicitWildcard", "DeltaExplicitWildcardIsForAnyType"},
		[]string{"SotWExplicitWildcard"},
	},
	{
		"With the first explicit name the legacy wildcard becomes an explicit one: SotW ends it by leaving it out, delta by unsubscribing",
		[]string{"DeltaLegacyWildcardStaysBesideAnExplicitName", "DeltaLegacyWildcardStaysWithAnExplicitOne"},
		[]string{"SotWLegacyWildcardEndsWithTheFirstExplicitName", "SotWWildcardNamedOnceIsNoLongerTheLegacyOne"},
	},
	{
		"Unsubscribing from the wildcard keeps the names",
		[]string{
			"DeltaUnsubscribingFromTheWildcardKeepsNames", "DeltaUnsubscribingFromALegacyWildcardEndsIt", "DeltaWildcardComesAndGoesBesideNames",
			"DeltaUnsubscribingFromANameUnderAWildcardTellsItsState", "DeltaNameLetGoOfForTheWildcardIsToldItsState",
		},
		[]string{"SotWLeavingTheWildcardKeepsNames"},
	},
	{
		"A wildcard of which there is nothing is answered, empty",
		[]string{"DeltaEmptyWildcardIsAnsweredEmpty"},
		[]string{"SotWEmptyWildcardIsAnsweredEmpty"},
	},

	{
		"Whatever a client asks, and however it answers: once it acknowledges, it has what it should",
		[]string{"WhateverAClientAsksItHasWhatItShouldInTheEnd"},
		[]string{"WhateverAClientAsksItHasWhatItShouldInTheEnd"},
	},

	// State of the world.
	{
		"A request whose nonce is not the latest of its type is not answered",
		only("delta counts changes of the subscription in any request"),
		[]string{"SotWStaleNonceIsNotAnswered", "SotWStaleNonceOfAnyTypeIsNotAnswered", "SotWStaleNonceIsNoNACK"},
	},
	{
		"Answers of clusters and listeners are complete",
		only("delta names what has gone"),
		[]string{"SotWClusterAnswersAreComplete", "SotWListenerAnswersAreComplete", "SotWClientThatWasServedBeforeKeepsWhatItRejects"},
	},
	{
		"Answers of endpoints and routes hold what changed",
		only("a delta answer always does"),
		[]string{"SotWNamedAnswersHoldWhatChanged"},
	},
	{
		"A change of names is answered though the version is the same",
		only("see the subscriptions of delta"),
		[]string{"SotWChangeOfNamesIsAnsweredThoughTheVersionIsTheSame", "SotWChangeOfNamesOfAnyTypeIsAnswered", "SotWNamesCountInANACK"},
	},
	{
		"A first request with a version is always answered for named types",
		only("delta has initial_resource_versions"),
		[]string{"SotWReconnectIsAlwaysAnsweredForNamedTypes", "SotWReconnectIsAnsweredForEveryNamedType", "SotWReconnectIsAnsweredForSecrets"},
	},
	{
		"and for clusters and listeners where it is not the current one",
		only("delta has initial_resource_versions"),
		[]string{"SotWReconnectWithTheCurrentVersionOfClustersNeedsNoAnswer", "SotWReconnectWithAnOlderVersionIsAnsweredInFull"},
	},
	{
		"A late NACK is about the version that it names by its nonce, or about one before",
		[]string{"RejectionOfAVersionThatWasReplacedMeanwhileIsNotThatOfTheNewOne", "DeltaAnswersMayComeInAnyOrder"},
		[]string{"SotWRejectionThatComesLateBelongsToTheVersionThatWasReplaced"},
	},

	// Delta.
	{
		"Changes of the subscription count in a request with a stale nonce, and in a NACK",
		[]string{
			"DeltaSubscriptionChangesCountInARequestWithAStaleNonce", "DeltaSubscriptionChangesCountInANACK", "DeltaStaleNonceStillSubscribes",
			"DeltaStaleNonceIsNeitherACKNorNACK",
		},
		only("a stale request is not looked at"),
	},
	{
		"What is subscribed to again is sent again, though current",
		[]string{
			"DeltaResubscriptionIsSentAgain", "DeltaResubscriptionIsSentAgainThoughTheAnswerIsOnItsWay", "DeltaResubscriptionOfAnyTypeIsSentAgain",
			"DeltaRejectedContentIsSentOnceMoreToWhoLetGoOfTheName",
		},
		only("names are told anew in each request"),
	},
	{
		"What is unsubscribed from is not sent",
		[]string{"DeltaUnsubscribedNamesAreNotSent"},
		only("see the change of names"),
	},
	{
		"Names of a type that is not served are told in resource_errors",
		[]string{"DeltaUnservedTypeIsToldAndTheStreamLives"},
		only("it has no such field"),
	},
	{
		"A name that does not exist is told to be absent, and sent when it appears",
		[]string{"DeltaAbsentNameIsToldAndSentWhenItAppears", "DeltaAbsentNameOfAnyTypeIsToldAndSentWhenItAppears"},
		[]string{"SotWAbsentNameIsSentWhenItAppears", "SotWAbsentNameOfAnyTypeIsSentWhenItAppears"},
	},
	{
		"After initial_resource_versions only what differs is sent, and what has gone is told",
		[]string{
			"DeltaReconnectIsSentOnlyWhatDiffers", "DeltaReconnectOfAnyTypeIsSentOnlyWhatDiffers", "DeltaReconnectWithCurrentVersionsIsSentNothing",
		},
		only("see version_info"),
	},
	{
		"initial_resource_versions does not subscribe",
		[]string{"DeltaInitialVersionsDoNotSubscribe"},
		only("see version_info"),
	},
	{
		"A cluster of a client that came back stays until its route is replaced",
		[]string{"ReconnectedClientKeepsAClusterUntilItsRouteIsReplaced"},
		only("what it has is not told"),
	},
	{
		"The good part of a rejected response counts as had or not, whichever is safe",
		[]string{"GoodClusterOfARejectedResponseIsRemovedThoughNeverAcknowledged"},
		[]string{"SotWRejectedClusterKeepsItsLastAcceptedFormInAnswers"},
	},
}

func TestEveryRuleHasItsTests(t *testing.T) {
	there := testsOfPackage(t)
	named := map[string]bool{}
	for _, r := range rules {
		for variant, tests := range map[string][]string{"delta": r.delta, "state of the world": r.sotw} {
			require.NotEmpty(t, tests, "%q has no test for %s", r.says, variant)
			for _, name := range tests {
				if strings.HasPrefix(name, "only: ") {
					require.Len(t, tests, 1, "%q", r.says)
					continue
				}
				require.True(t, there["Test"+name], "%q names Test%s, which does not exist", r.says, name)
				named[name] = true
			}
		}
	}
	require.GreaterOrEqual(t, len(named), 120)
}

// testsOfPackage are the names of its test functions.
func testsOfPackage(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	all := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				all[f.Name.Name] = true
			}
		}
	}
	return all
}
