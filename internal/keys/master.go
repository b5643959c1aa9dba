package keys

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// MasterEnv names the environment variable that may hold the master key.
const MasterEnv = "CURFEW_MASTER_KEY"

// LoadMaster returns the master key: 32 bytes in hex from the environment, or
// else from the file, which is created (mode 0600) when it is not there.
func LoadMaster(path string) ([]byte, error) {
	if s := os.Getenv(MasterEnv); s != "" {
		return decodeMaster(s, MasterEnv)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return createMaster(path)
	}
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("master key file %s can be read by others: chmod 600 it", path)
	}
	return decodeMaster(string(b), path)
}

func decodeMaster(s, where string) ([]byte, error) {
	k, err := hex.DecodeString(strings.TrimSpace(s))
	if err != nil || len(k) != 32 {
		return nil, fmt.Errorf("%s does not hold 64 hexadecimal digits", where) // never the value
	}
	return k, nil
}

func createMaster(path string) ([]byte, error) {
	k := make([]byte, 32)
	rand.Read(k)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(hex.EncodeToString(k) + "\n")
	if err == nil {
		err = f.Sync()
	}
	return k, errors.Join(err, f.Close())
}

// derive returns 32 bytes for a purpose. Different purposes are independent.
func derive(master []byte, purpose string) []byte {
	k, err := hkdf.Key(sha256.New, master, nil, "curfew "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths beyond 255 hashes
	}
	return k
}
