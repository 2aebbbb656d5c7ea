package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// initCluster writes the first objects of a new cluster: itself, the admin's token
// and a space to begin with.
func initCluster(tx *state.Tx, c *runwayv1.InitCluster) (proto.Message, error) {
	if tx.Cluster() != nil {
		return nil, reject(ErrExists, code.Conflict, "the cluster %q is initialised already", tx.Cluster().GetId())
	}
	if err := checkCluster(c.GetCluster()); err != nil {
		return nil, err
	}
	tx.PutCluster(c.GetCluster())
	if c.GetAdmin() != nil {
		if _, err := putToken(tx, &runwayv1.PutToken{Token: c.GetAdmin()}); err != nil {
			return nil, err
		}
	}
	if c.GetSpace() != nil {
		if err := checkLabel("space", c.GetSpace().GetName()); err != nil {
			return nil, err
		}
		tx.PutSpace(c.GetSpace())
	}
	tx.PutEvent(&runwayv1.Event{Kind: "cluster.initialised", Message: "cluster " + c.GetCluster().GetId()})
	return c.GetCluster(), nil
}

func checkCluster(cluster *runwayv1.Cluster) error {
	if err := checkID("cluster", cluster.GetId()); err != nil {
		return err
	}
	if err := checkID("incarnation", cluster.GetIncarnation()); err != nil {
		return err
	}
	if len(cluster.GetRegions()) == 0 {
		return reject(ErrInvalid, code.SpecInvalid, "the cluster has no region")
	}
	for _, region := range cluster.GetRegions() {
		if err := checkLabel("region", region); err != nil {
			return err
		}
	}
	if v := cluster.GetVersion(); v < 1 || v > Version {
		return reject(ErrInvalid, code.SpecInvalid, "cluster version %d is not between 1 and %d", v, Version)
	}
	return nil
}
