//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// decode runs runwayctl -o json and reads the answer as the API's own message.
func (c *cluster) decode(into proto.Message, args ...string) error {
	output, err := c.try(append([]string{"-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal([]byte(output), into)
}

// deployment returns the newest deployment of a service.
func (c *cluster) deployment(service string) (*runwayv1.Deployment, error) {
	var reply runwayv1.ListDeploymentsResponse
	if err := c.decode(&reply, "deployments", "list", service); err != nil {
		return nil, err
	}
	if len(reply.GetDeployments()) == 0 {
		return nil, fmt.Errorf("%s was never deployed", service)
	}
	return slices.MaxFunc(reply.GetDeployments(), func(a, b *runwayv1.Deployment) int {
		return int(a.GetSpec().GetRevision()) - int(b.GetSpec().GetRevision())
	}), nil
}

// listed returns the ingresses as the coordinator sees them.
func (c *cluster) listed() ([]*runwayv1.Ingress, error) {
	var answer struct{ Ingresses json.RawMessage }
	if err := c.json(&answer, "cluster", "status"); err != nil {
		return nil, err
	}
	var reply runwayv1.ListIngressesResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer.Ingresses, &reply); err != nil {
		return nil, err
	}
	var ingresses []*runwayv1.Ingress
	for _, view := range reply.GetViews() {
		ingresses = append(ingresses, view.GetIngress())
	}
	return ingresses, nil
}

// ingressPhase is how the coordinator sees one ingress.
func (c *cluster) ingressPhase(name string) (runwayv1.IngressPhase, error) {
	ingresses, err := c.listed()
	if err != nil {
		return 0, err
	}
	for _, i := range ingresses {
		if i.GetName() == name {
			return i.GetStatus().GetPhase(), nil
		}
	}
	return 0, fmt.Errorf("there is no ingress %s", name)
}

// outcome is how a command that ran in the background ended.
type outcome struct {
	output string
	err    error
}

// background runs runwayctl and sends how it ended.
func (c *cluster) background(args ...string) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		output, err := c.try(args...)
		ended <- outcome{output, err}
	}()
	return ended
}
