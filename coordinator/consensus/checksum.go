package consensus

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// errChecksum: stored bytes are not those that were written. The file system and
// bbolt do not notice.
var errChecksum = errors.New("checksum does not match")

// castagnoli is the polynomial with hardware support (CRC-32C).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns a copy of entry whose data ends with the checksum of its index,
// term, type and data. The index is in it so that an entry in the wrong place is
// found too.
func seal(entry *raft.Log) *raft.Log {
	sealed := *entry
	sealed.Data = binary.BigEndian.AppendUint32(append([]byte(nil), entry.Data...), sumOf(entry))
	return &sealed
}

// unseal checks a stored entry and takes the checksum off.
func unseal(index uint64, entry *raft.Log) error {
	data, sum, err := split(entry.Data)
	if err != nil {
		return err
	}
	entry.Data = data
	if entry.Index != index || sumOf(entry) != sum {
		return errChecksum
	}
	return nil
}

func sumOf(entry *raft.Log) uint32 {
	var place [17]byte
	binary.BigEndian.PutUint64(place[0:], entry.Index)
	binary.BigEndian.PutUint64(place[8:], entry.Term)
	place[16] = byte(entry.Type)
	sum := crc32.Checksum(place[:], castagnoli)
	sum = crc32.Update(sum, castagnoli, entry.Data)
	return crc32.Update(sum, castagnoli, entry.Extensions)
}

// sealValue appends the checksum of a stable value and its key.
func sealValue(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), value...), sumOfValue(key, value))
}

// unsealValue checks a stored value and takes the checksum off.
func unsealValue(key, stored []byte) ([]byte, error) {
	value, sum, err := split(stored)
	if err != nil {
		return nil, err
	}
	if sumOfValue(key, value) != sum {
		return nil, errChecksum
	}
	return value, nil
}

func sumOfValue(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func split(stored []byte) ([]byte, uint32, error) {
	end := len(stored) - crc32.Size
	if end < 0 {
		return nil, 0, errChecksum
	}
	return stored[:end:end], binary.BigEndian.Uint32(stored[end:]), nil
}
